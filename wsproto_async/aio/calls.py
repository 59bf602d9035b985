"""Receiving and sending as coroutines.

The compiled build has ``calls.pyx`` instead: the same coroutines, made in C.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING

from .data import Data, convert, encode_data, is_data
from .fragments import send_fragments

if TYPE_CHECKING:
    from .protocol import ProtocolCore

__all__ = ["receive_message", "receive_next", "send_message"]


async def receive_message(protocol: ProtocolCore, decode: bool | None) -> str | bytes:
    """See :meth:`WebSocket.recv`."""
    while not protocol.has_message():
        try:
            await protocol.begin_wait()
        finally:
            protocol.end_wait()
    if decode is None:
        return protocol.take_message()
    converted = convert(protocol.peek_message(), decode)  # may raise: then it stays in the queue
    protocol.take_message()
    return converted


async def receive_next(protocol: ProtocolCore) -> str | bytes:
    """As ``receive_message``; raises StopAsyncIteration after 1000 and 1001."""
    # What receive_message() does, without a second coroutine for each message.
    while not protocol.is_over():
        if protocol.has_message():
            return protocol.take_message()
        try:
            await protocol.begin_wait()
        finally:
            protocol.end_wait()
    raise StopAsyncIteration


async def send_message(
    protocol: ProtocolCore,
    message: Data | Iterable[Data] | AsyncIterable[Data],
    text: bool | None,
    compress: bool | None,
) -> None:
    """See :meth:`WebSocket.send`."""
    if is_data(message):
        opcode, payload = encode_data(message, text)
        sender = protocol.sender
        if not sender.may_send():
            await sender.turn()
        protocol.connection.send_message(opcode, payload, True, compress)
        sender.written()
    else:
        await send_fragments(protocol, message, text, compress)
