"""What may be sent and received, and how it becomes a payload."""

from __future__ import annotations

from typing_extensions import TypeIs

from ..codec.opcodes import OP_BINARY, OP_TEXT

__all__ = ["BytesLike", "Data", "convert", "encode_data", "is_data"]

BytesLike = bytes | bytearray | memoryview
Data = str | BytesLike


def is_data(message: object) -> TypeIs[Data]:
    """Tell if ``message`` is one piece of data, rather than an iterable of such."""
    return isinstance(message, (str, bytes, bytearray, memoryview))


def encode_data(data: Data, text: bool | None) -> tuple[int, bytes]:
    """Return the opcode of a message that holds ``data``, and its payload.

    Raises TypeError for other types and UnicodeError for text that is not UTF-8.
    """
    if isinstance(data, str):
        return OP_BINARY if text is False else OP_TEXT, data.encode()
    if not is_data(data):
        raise TypeError(f"data must be str or bytes-like, not {type(data).__name__}")
    payload = data if type(data) is bytes else bytes(data)
    if text:
        payload.decode()
        return OP_TEXT, payload
    return OP_BINARY, payload


def convert(message: str | bytes, decode: bool) -> str | bytes:
    """Return ``message`` as ``str`` with ``decode``, else as ``bytes``."""
    if decode:
        return message if isinstance(message, str) else message.decode()
    return message.encode() if isinstance(message, str) else message
