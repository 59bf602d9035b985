"""Sending one message as many fragments, while others wait for its end."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable, Mapping

from ..codec.opcodes import OP_BINARY, OP_TEXT
from ..codec.utf8 import Utf8Decoder
from ..exceptions import ProtocolError
from .data import Data, encode_data
from .protocol import ProtocolCore

__all__ = ["send_fragments"]


async def send_fragments(
    protocol: ProtocolCore,
    fragments: Iterable[Data] | AsyncIterable[Data],
    text: bool | None,
    compress: bool | None,
) -> None:
    """Send one message with a fragment for each item; no item, no message.

    A message from an async iterable ends with an empty fragment, since nobody knows which item
    is the last before the peer should have it.
    """
    is_iterable = isinstance(fragments, (Iterable, AsyncIterable))
    if not is_iterable or isinstance(fragments, (Mapping, Coroutine)):
        kind = type(fragments).__name__
        raise TypeError(f"message must be str, bytes-like or an iterable of such, not {kind}")
    protocol.connection.check_open()
    marked = _mark_end(fragments) if isinstance(fragments, AsyncIterable) else _mark_last(fragments)
    opcode: int | None = None
    utf8 = Utf8Decoder()
    try:
        async for fragment, fin in marked:
            # Not as text: bytes of one may be split inside a character (RFC 6455 5.6).
            _, payload = encode_data(fragment, False)
            is_text = isinstance(fragment, str) if text is None else text
            if text:
                _check_utf8(utf8, payload, fin)
            its_opcode = OP_TEXT if is_text else OP_BINARY
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


def _check_utf8(utf8: Utf8Decoder, payload: bytes, fin: bool) -> None:
    try:
        utf8.decode(payload, fin)
    except ProtocolError as exc:
        raise UnicodeError(str(exc)) from None


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
