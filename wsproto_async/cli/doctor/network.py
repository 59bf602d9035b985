"""From a name to connected sockets: every address is tried, and its time taken."""

from __future__ import annotations

import asyncio
import errno
import socket
from ipaddress import ip_address
from time import perf_counter
from typing import Any, Final

from ..exits import EXIT_UNREACHABLE
from ..failure import os_text
from ..text import escape
from .report import Problem, Report, Side

__all__ = ["connect_to", "resolve"]

_MOST: Final = 8  # addresses that are tried
_FAMILIES: Final = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}

Address = tuple[Any, ...]  # what getaddrinfo gives


async def resolve(report: Report, host: str, port: int, patience: float) -> list[Address]:
    """Return the addresses of a host."""
    start = perf_counter()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(patience):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        report.stop("DNS", f"no answer for {host}", _NO_DNS, EXIT_UNREACHABLE)
    except OSError as exc:  # socket.gaierror
        is_unknown = exc.errno != socket.EAI_AGAIN
        problem = _unknown_name(host) if is_unknown else _NO_DNS
        text = f"no address for {host}: {exc.strerror}"
        report.stop("DNS", text, problem, EXIT_UNREACHABLE)
    except UnicodeError:  # a label over 63 characters, for one
        report.stop("DNS", f"{host} is no name", _unknown_name(host), EXIT_UNREACHABLE)
    names = list(dict.fromkeys(str(address[4][0]) for address in found))
    seconds = perf_counter() - start
    if _is_address(host):
        return found
    report.ok("DNS", f"{host}: {', '.join(names)}", seconds, addresses=names)
    return found


async def connect_to(
    report: Report, addresses: list[Address], patience: float, side: Side
) -> socket.socket:
    """Return a socket that is connected to the first address that can be connected to."""
    attempts = [_connect(address, patience) for address in addresses[:_MOST]]
    outcomes = await asyncio.gather(*attempts)
    chosen: socket.socket | None = None
    for _, outcome, _ in outcomes:
        if isinstance(outcome, socket.socket):
            if chosen is None:
                chosen = outcome
            else:
                outcome.close()
    for address, outcome, seconds in outcomes:
        text = f"{_FAMILIES.get(address[0], 'other')} {address[4][0]} port {address[4][1]}"
        details = {"address": address[4][0], "port": address[4][1]}
        if isinstance(outcome, socket.socket):
            report.ok("TCP", text, seconds, **details)
            continue
        problem = _why_not(outcome, patience, side)
        text += f": {escape(os_text(outcome))}"
        if chosen is None:
            report.fail("TCP", text, problem, EXIT_UNREACHABLE, **details)
        else:
            report.warn("TCP", text, problem, **details)
    if len(addresses) > _MOST:
        report.ok("TCP", f"{len(addresses) - _MOST} more are not tried")
    if chosen is None:
        report.give_up()
    return chosen


async def _connect(
    address: Address, patience: float
) -> tuple[Address, socket.socket | OSError, float]:
    family, kind, protocol, _, name = address
    start = perf_counter()
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError as exc:  # no IPv6 at all, for one
        return address, exc, 0.0
    sock.setblocking(False)
    try:
        async with asyncio.timeout(patience):
            await asyncio.get_running_loop().sock_connect(sock, name)
    except OSError as exc:  # TimeoutError is one
        sock.close()
        return address, exc, perf_counter() - start
    except BaseException:
        sock.close()
        raise
    return address, sock, perf_counter() - start


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


_NO_DNS: Final = Problem(
    "The server that knows names does not answer.",
    "network",
    "Check that this machine is online, and which DNS server it asks (/etc/resolv.conf).",
)


def _unknown_name(host: str) -> Problem:
    return Problem(
        f"Nobody knows the name {host}.",
        "client",
        "Check the spelling of the URL; if it is right, the name's owner has to add it to DNS.",
    )


def _why_not(error: OSError, patience: float, side: Side) -> Problem:
    if isinstance(error, ConnectionRefusedError):
        return Problem(
            "The machine is there, and nothing listens at that port.",
            side,
            "Start the server, and check its port and the address that it listens on: one on "
            "127.0.0.1 can be reached from its own machine alone.",
        )
    if isinstance(error, TimeoutError):
        return Problem(
            f"Nothing has answered within {patience:g} s, neither yes nor no.",
            "network",
            "Check that the machine is up, and that no firewall, or security group, drops packets "
            "to that port.",
        )
    if error.errno in (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return Problem(
            "This machine has no way to addresses of that kind.",
            "client",
            "Nothing, if the other addresses work: clients fall back to them.",
        )
    return Problem("The network does not let us through.", "network", "Ask who runs it.")
