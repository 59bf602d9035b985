"""Listening sockets, above all those that are files."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from raw_peer import until

from wsproto_async import WebSocket, serve, unix_connect, unix_serve


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def assert_echoes(path: Path) -> None:
    async with unix_connect(path) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with unix_serve(echo, path):
        await assert_echoes(path)


async def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.write_text("precious")
    with pytest.raises(OSError):
        await unix_serve(echo, path)
    assert path.read_text() == "precious"


async def test_the_file_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with unix_serve(echo, path) as server:
        assert path.is_socket()
        server.close()
        assert not path.exists()


async def test_a_file_that_is_anothers_by_now_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with unix_serve(echo, path) as first:
        os.remove(path)
        async with unix_serve(echo, path):
            first.close()
            await first.wait_closed()
            await assert_echoes(path)
        assert not path.exists()


async def test_a_file_that_has_been_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with unix_serve(echo, path):
        os.remove(path)


async def test_a_path_and_a_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        with pytest.raises(ValueError, match=r"^path and sock cannot both be given$"):
            await unix_serve(echo, tmp_path / "socket", sock=sock)
        sock.bind(str(tmp_path / "own"))
        async with serve(echo, sock=sock):
            await assert_echoes(tmp_path / "own")
        assert (tmp_path / "own").is_socket(), "who made it removes it"


async def test_addresses_of_unix_sockets(tmp_path: Path) -> None:
    seen: list[WebSocket] = []

    async def handler(ws: WebSocket) -> None:
        seen.append(ws)
        await ws.wait_closed()

    path = tmp_path / "socket"
    async with unix_serve(handler, path):
        async with unix_connect(path) as ws:
            await until(lambda: seen)
            assert (ws.remote_address, ws.local_address) == (str(path), "")
            assert (seen[0].remote_address, seen[0].local_address) == ("", str(path))
        assert ws.remote_address == str(path)
