"""check_server(): what the RFCs ask for, tried with any server, and a list of what is wrong."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from .rest import rest_of
from .rfc import section_of
from .row import Row
from .rows import ROWS
from .runner import Outcome, Target, explore, run
from .wire import Wire

__all__ = ["Finding", "check_server"]

_SHOWN: Final = 64  # bytes


@dataclass(frozen=True)
class Finding:
    """Something that a server does in another way than the RFCs ask for."""

    section: str
    """Where it is asked for: ``"RFC 6455 5.2"``."""
    title: str
    """What was tried."""
    sent: bytes
    """The bytes that were sent, after the opening handshake if it is not about that."""
    expected: str
    """What should have come."""
    got: str
    """What has come."""

    def __str__(self) -> str:
        shown = repr(self.sent[:_SHOWN])[1:]
        more = f" and {len(self.sent) - _SHOWN} more bytes" if len(self.sent) > _SHOWN else ""
        return (
            f"{self.section}: {self.title}\n"
            f"  sent: {shown}{more}\n  expected: {self.expected}\n  got: {self.got}"
        )


async def check_server(
    url: str,
    *,
    ssl: ssl_module.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
    max_size: int | None = None,
    patience: float = 2,
    at_once: int = 16,
) -> list[Finding]:
    """Try how an echo server keeps to RFC 6455 and RFC 7692; it is right if the list is empty.

    The server may be anybody's. It has to send each message back as it came, and is talked to in
    bytes, right and wrong ones: opening handshake, masking, lengths, fragments, control frames,
    close codes, UTF-8, reserved bits, and compression if it agrees to that. A server that answers
    more sternly than it has to, or fails a connection with another code but 1000, is right.

    - ``url``: ``ws:`` or ``wss:``.
    - ``ssl``: for ``wss:``; by default any certificate will do.
    - ``headers``: what each request has beside what it needs, such as ``Authorization``.
    - ``max_size``: the largest message that it takes, in bytes. Without it that is not tried.
    - ``patience``: seconds for each answer, 2. What is right takes a few seconds in all, who never
      answers some 20 times that.
    - ``at_once``: how many connections it is tried with at a time, 16: no more than it takes of one
      address.

    Raises ValueError for another URL and for a server that does not echo, and OSError or
    TimeoutError if it does not open a connection.
    """
    if at_once < 1:
        raise ValueError(f"at_once must be at least 1, not {at_once}")
    target = _target(url, ssl, max_size, patience)
    lines = tuple(f"{name}: {value}" for name, value in (headers or {}).items())
    target = await explore(replace(target, wire=replace(target.wire, headers=lines)))
    if "echo" not in target.provides:
        raise ValueError("it has to be an echo server, and does not send a message back")
    demanded = [(section, row) for row in ROWS if (section := section_of(row)) is not None]
    room = asyncio.Semaphore(at_once)

    async def check(section: str, row: Row) -> Finding | None:
        async with room:
            outcome = await run(_at_least(row, target.wire), target)
        return _finding(section, outcome, target.wire)

    async with asyncio.TaskGroup() as tasks:
        checks = [tasks.create_task(check(section, row)) for section, row in demanded]
    return [finding for each in checks if (finding := each.result()) is not None]


def _target(
    url: str, context: ssl_module.SSLContext | None, max_size: int | None, patience: float
) -> Target:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.username is not None:
        raise ValueError(f"url must be ws://host:port/path or wss:, not {url!r}")
    is_secure = parts.scheme == "wss"
    port = parts.port or (443 if is_secure else 80)
    if is_secure and context is None:
        context = ssl_module.SSLContext(ssl_module.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl_module.CERT_NONE
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    wire = Wire(host=parts.netloc, path=path)
    provides = {"tls" if is_secure else "plain"}
    if max_size is not None:
        wire = replace(wire, max_size=max_size)
        provides.add("max_size")
    return Target(
        parts.hostname,
        port,
        wire,
        context if is_secure else None,
        frozenset(provides),
        patience=patience,
    )


def _at_least(row: Row, wire: Wire) -> Row:
    """Return the row as the RFC has it: nobody has to see what is wrong before all is there."""
    send = row.send
    if row.proves:
        send = row.data(wire)
        send += rest_of(send, wire)
    return replace(row, expect=row.expect.least or row.expect, send=send, proves=False)


def _finding(section: str, outcome: Outcome, wire: Wire) -> Finding | None:
    row = outcome.row
    if outcome.state != "WRONG":
        return None
    return Finding(section, row.title, row.data(wire), str(row.expect), outcome.got)
