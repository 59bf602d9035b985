"""Sending one message as many fragments, while others wait for its end."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping

from .data import Data, encode_data
from .protocol import WebSocketCallbacks

__all__ = ["send_fragments"]


async def send_fragments(
    protocol: WebSocketCallbacks,
    fragments: Iterable[Data] | AsyncIterable[Data],
    text: bool | None,
    compress: bool | None,
) -> None:
    """Send one message with a fragment for each item; no item, no message.

    A message from an async iterable ends with an empty fragment, since nobody knows which item
    is the last before the peer should have it.
    """
    if isinstance(fragments, Mapping) or not isinstance(fragments, (Iterable, AsyncIterable)):
        kind = type(fragments).__name__
        raise TypeError(f"message must be str, bytes-like or an iterable of such, not {kind}")
    protocol.connection.check_open()
    marked = _mark_end(fragments) if isinstance(fragments, AsyncIterable) else _mark_last(fragments)
    opcode: int | None = None
    try:
        async for fragment, fin in marked:
            its_opcode, payload = encode_data(fragment, text)
            if opcode not in (None, its_opcode):
                raise TypeError("fragments of one message must be all str or all bytes-like")
            if opcode is None:
                await protocol.sender.turn()
                protocol.connection.send_message(its_opcode, payload, fin, compress)
            else:
                await protocol.sender.gate()
                protocol.connection.send_continuation(payload, fin=fin)
            protocol.sender.written()
            opcode = its_opcode
    except BaseException:
        if opcode is not None:
            protocol.close(1011, "message broken off")
        raise
    finally:
        protocol.sender.message_sent()


async def _mark_last(fragments: Iterable[Data]) -> AsyncIterator[tuple[Data, bool]]:
    iterator = iter(fragments)
    for fragment in iterator:
        for following in iterator:
            yield fragment, False
            fragment = following
        yield fragment, True


async def _mark_end(fragments: AsyncIterable[Data]) -> AsyncIterator[tuple[Data, bool]]:
    fragment: Data | None = None
    async for fragment in fragments:
        yield fragment, False
    if fragment is not None:
        yield fragment[:0], True
