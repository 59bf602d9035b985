"""Past the transport to the socket: in the compiled build, and never where a transport encrypts."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

import wsproto_async
from wsproto_async.aio.direct import send_now, writable_fd

only_compiled = pytest.mark.skipif(
    not wsproto_async.compiled, reason="only the compiled build writes past the transport"
)


class Transport(asyncio.Transport):
    """Of a transport only what it knows."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(extra)


def test_where_there_is_no_way_past_the_transport() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert writable_fd(Transport()) == -1
        assert writable_fd(Transport(socket=ours, sslcontext=ssl.create_default_context())) == -1
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert writable_fd(Transport(socket=sock)) == -1


def test_what_the_socket_of_a_plain_transport_is_given() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fd = writable_fd(Transport(socket=ours))
        assert fd == (ours.fileno() if wsproto_async.compiled else -1)
        sent = send_now(fd, b"frame")
        assert sent == (5 if wsproto_async.compiled else 0)
        assert theirs.recv(100) == b"frame" if sent else True


@only_compiled
def test_a_full_socket_takes_a_part_and_then_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        data = bytes(range(256)) * 2**14
        sent = send_now(ours.fileno(), data)
        assert 0 < sent < len(data)
        assert send_now(ours.fileno(), data) == 0
        received = b""
        while len(received) < sent:
            received += theirs.recv(2**20)
        assert received == data[:sent]


@only_compiled
def test_errors_are_left_to_the_transport() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        assert send_now(ours.fileno(), b"frame") == 0
    assert send_now(ours.fileno(), b"frame") == 0
