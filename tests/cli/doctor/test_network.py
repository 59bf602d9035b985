"""Names, addresses, and connections to them."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest


def test_nothing_listens(doctor: Callable, closed_port: int) -> None:
    found = doctor(f"ws://127.0.0.1:{closed_port}/")
    assert (found.status, found.names("failed"), found.side) == (3, ["TCP"], "server")
    assert found.last["text"] == (
        f"IPv4 127.0.0.1 port {closed_port}: nothing listens there (connection refused)"
    )
    assert "nothing listens at that port" in found.last["problem"]["why"]


@pytest.mark.parametrize(
    ("error", "side", "why"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), "client", "Nobody knows the name h"),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), "network", "that knows names does not"),
        (UnicodeError("label too long"), "client", "Nobody knows the name h"),
    ],
)
def test_no_address(
    doctor: Callable, monkeypatch: pytest.MonkeyPatch, error: Exception, side: str, why: str
) -> None:
    def getaddrinfo(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    found = doctor("ws://h.example/")
    assert (found.status, found.last["step"], found.side) == (3, "DNS", side)
    assert why in found.last["problem"]["why"]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let every name have these addresses."""

    def names(*addresses: tuple[str, int]) -> None:
        def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[Any]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, each or port))
                for address, each in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return names


def test_one_address_of_several(
    doctor: Callable, names: Callable, echo_port: int, closed_port: int
) -> None:
    names(("127.0.0.1", closed_port), ("127.0.0.1", echo_port), *[("127.0.0.1", echo_port)] * 8)
    found = doctor(f"ws://h.example:{echo_port}/")
    assert found.status == 0
    assert found.steps[0]["text"] == "h.example: 127.0.0.1"
    connected = [step for step in found.steps if step["step"] == "TCP"]
    assert [step["state"] for step in connected] == ["warning", *["ok"] * 8]
    assert connected[-1]["text"] == "2 more are not tried"


@pytest.mark.parametrize(
    ("error", "side", "why"),
    [
        (TimeoutError(), "network", "neither yes nor no"),
        (OSError(errno.ENETUNREACH, "x"), "client", "no way to addresses of that kind"),
        (OSError(errno.EHOSTUNREACH, "x"), "network", "does not let us through"),
    ],
)
def test_a_network_that_fails(
    doctor: Callable,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: int,
    error: OSError,
    side: str,
    why: str,
) -> None:
    async def sock_connect(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", sock_connect)
    found = doctor(f"ws://127.0.0.1:{closed_port}/")
    assert (found.status, found.last["step"], found.side) == (3, "TCP", side)
    assert why in found.last["problem"]["why"]
