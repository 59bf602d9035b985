"""Sending one message as many fragments, while others wait for its end."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping

from .data import Data, encode_data
from .protocol import WebSocketProtocol

__all__ = ["send_fragments"]


async def send_fragments(
    protocol: WebSocketProtocol,
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
    is_text: bool | None = None
    try:
        async for fragment, fin in marked:
            fragment_is_text, payload = encode_data(fragment, text)
            if is_text not in (None, fragment_is_text):
                raise TypeError("fragments of one message must be all str or all bytes-like")
            if is_text is None:
                await _send_first(protocol, fragment_is_text, payload, fin, compress)
            else:
                await protocol.sender.gate()
                protocol.connection.send_continuation(payload, fin=fin)
            protocol.sender.written()
            is_text = fragment_is_text
    except BaseException:
        if is_text is not None:
            protocol.close(1011, "message broken off")
        raise
    finally:
        protocol.sender.message_sent()


async def _send_first(
    protocol: WebSocketProtocol, is_text: bool, payload: bytes, fin: bool, compress: bool | None
) -> None:
    await protocol.sender.turn()
    if is_text:
        protocol.connection.send_text(payload, fin=fin, compress=compress)
    else:
        protocol.connection.send_binary(payload, fin=fin, compress=compress)


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
