from __future__ import annotations

import array

import pytest

from wsproto_async.aio.data import convert, encode_data, is_data
from wsproto_async.codec.opcodes import OP_BINARY, OP_TEXT

TEXT = "aé€😀"


def shown(value: object) -> str:
    """The same name in every run, so that the tests can be shared out."""
    return f"memoryview {bytes(value)!r}" if isinstance(value, memoryview) else repr(value)


@pytest.mark.parametrize(
    "message", ["", "x", b"", b"x", bytearray(b"x"), memoryview(b"x")], ids=shown
)
def test_is_data(message: object) -> None:
    assert is_data(message)


@pytest.mark.parametrize("message", [None, 1, True, 1.5, [], ["x"], {}, {"a": "b"}, object])
def test_is_not_data(message: object) -> None:
    assert not is_data(message)


@pytest.mark.parametrize(
    ("data", "text", "encoded"),
    [
        (TEXT, None, (OP_TEXT, TEXT.encode())),
        (TEXT, True, (OP_TEXT, TEXT.encode())),
        (TEXT, False, (OP_BINARY, TEXT.encode())),
        (b"\xff", None, (OP_BINARY, b"\xff")),
        (b"\xff", False, (OP_BINARY, b"\xff")),
        (TEXT.encode(), True, (OP_TEXT, TEXT.encode())),
        (bytearray(b"x"), None, (OP_BINARY, b"x")),
        (type("Bytes", (bytes,), {})(b"x"), None, (OP_BINARY, b"x")),
        (memoryview(b"abcd")[1:3], None, (OP_BINARY, b"bc")),
        (memoryview(b"abcdef")[::2], None, (OP_BINARY, b"ace")),
        (
            memoryview(array.array("H", [1, 2])),
            None,
            (OP_BINARY, array.array("H", [1, 2]).tobytes()),
        ),
        ("", None, (OP_TEXT, b"")),
        (b"", True, (OP_TEXT, b"")),
    ],
    ids=shown,
)
def test_encode_data(data: object, text: bool | None, encoded: tuple[int, bytes]) -> None:
    assert encode_data(data, text) == encoded
    assert type(encode_data(data, text)[1]) is bytes


def test_the_payload_is_not_the_callers_buffer() -> None:
    buffer = bytearray(b"before")
    _, payload = encode_data(buffer, None)
    buffer[:] = b"after!"
    assert payload == b"before"


@pytest.mark.parametrize("data", [None, 1, [], ["x"], {}, 0j], ids=repr)
def test_other_types_are_named(data: object) -> None:
    name = type(data).__name__
    with pytest.raises(TypeError, match=f"^data must be str or bytes-like, not {name}$"):
        encode_data(data, None)


@pytest.mark.parametrize(
    ("data", "text"), [("\ud800", None), ("\ud800", False), (b"\xff", True), (b"a\xed\xa0", True)]
)
def test_text_that_is_not_utf8(data: str | bytes, text: bool | None) -> None:
    with pytest.raises(UnicodeError):
        encode_data(data, text)


@pytest.mark.parametrize("message", [TEXT, TEXT.encode()])
def test_convert(message: str | bytes) -> None:
    assert convert(message, True) == TEXT
    assert convert(message, False) == TEXT.encode()


def test_convert_cannot_decode_everything() -> None:
    with pytest.raises(UnicodeDecodeError):
        convert(b"\xff", True)
