"""Sec-WebSocket-Extensions: its grammar, and which extension is chosen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wsproto_async.exceptions import InvalidExtension, InvalidHeader
from wsproto_async.extensions import Codec, Extension, Parameters, PerMessageDeflate, Recent
from wsproto_async.handshake.extensions import (
    accept_extension,
    check_extensions,
    finalize_extension,
    format_offers,
    parse_extensions,
)
from wsproto_async.handshake.headers import Headers

NAME = "Sec-WebSocket-Extensions"


def fields(*values: str) -> Headers:
    return Headers([(NAME, value) for value in values])


class PlainCodec(Codec):
    rsv = 0x20

    def wants(self, payload: bytes) -> bool:
        return True

    def encode(self, payload: bytes, fin: bool) -> bytes:
        return payload

    def decode(self, payload: bytes, fin: bool, recent: Recent) -> Iterator[bytes]:
        yield payload


class Plain(Extension):
    """Agrees to the parameter ``yes`` only, and answers with what it was offered."""

    def __init__(self, name: str = "x-plain") -> None:
        self.name = name

    def offer(self) -> Parameters:
        return [("yes", None), ("q", '"a b"')]

    def accept(self, offered: Parameters) -> tuple[Parameters, Codec] | None:
        return (offered, PlainCodec()) if ("yes", None) in offered else None

    def finalize(self, accepted: Parameters) -> Codec:
        if ("no", None) in accepted:
            raise InvalidExtension("server said no")
        return PlainCodec()


@pytest.mark.parametrize(
    ("values", "extensions"),
    [
        ([], []),
        ([""], []),
        ([", ,,"], []),
        (["a"], [("a", [])]),
        (["a, b"], [("a", []), ("b", [])]),
        (["a", "b;c"], [("a", []), ("b", [("c", None)])]),
        ([",a , ,b,"], [("a", []), ("b", [])]),
        (["a;b;c=d;e"], [("a", [("b", None), ("c", "d"), ("e", None)])]),
        (["a \t; b ; c = d ,e"], [("a", [("b", None), ("c", "d")]), ("e", [])]),
        (["a;b;b=1, a;b"], [("a", [("b", None), ("b", "1")]), ("a", [("b", None)])]),
        (['a;b="c"'], [("a", [("b", "c")])]),
        (['a;b="c\\d" ;g'], [("a", [("b", "cd"), ("g", None)])]),
    ],
)
def test_the_grammar(values: list[str], extensions: list[tuple[str, Parameters]]) -> None:
    assert parse_extensions(fields(*values)) == extensions


@pytest.mark.parametrize(
    "value",
    [
        "a b",
        "a;",
        "a;;b",
        ";a",
        "a;=b",
        "a;b=",
        "a;b=,c",
        "a=b",
        "a;b=c d",
        "a;b=c=d",
        'a;b="c',
        'a;b="c\\"',
        'a;b="c"d',
        'a;"b"=c',
        'a;b=""',
        'a;b="c,d"',
        'a;b="c d"',
        'a;b="\\""',
        'a;b="\\\\"',
        "a;b='c d'",
        "a/b",
        "a,b;c d",
        "\xe9",
        'a;b="' + "\\c" * 4000,
        'a;b="' + "c" * 8000,
        "a" + " " * 8000 + "b",
        "a" + ";b" * 4000 + ";",
    ],
)
def test_a_malformed_field(value: str) -> None:
    with pytest.raises(InvalidHeader, match=r"^Sec-WebSocket-Extensions is malformed$"):
        parse_extensions(fields("fine", value))
    with pytest.raises(InvalidHeader):
        accept_extension(fields(value), [Plain()])
    with pytest.raises(InvalidHeader):
        finalize_extension(fields(value), [Plain()])


def test_what_a_client_offers() -> None:
    assert format_offers([]) == ""
    both = [Plain(), PerMessageDeflate(server_no_context_takeover=False)]
    assert format_offers(both) == (
        'x-plain; yes; q="a b", permessage-deflate; client_no_context_takeover;'
        " client_max_window_bits"
    )


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ([], None),
        (["x-other; yes"], None),
        (["x-plain"], None),
        (["x-plain; yes"], "x-plain; yes"),
        (["X-Plain; yes"], None),
        (["x-plain; no, x-plain; yes; a=1"], "x-plain; yes; a=1"),
        (["x-other", "x-plain; yes"], "x-plain; yes"),
        (["x-plain; yes, permessage-deflate"], "x-plain; yes"),
        (
            ["permessage-deflate, x-plain; yes"],
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (["permessage-deflate; what, x-plain; yes"], "x-plain; yes"),
        (
            ["permessage-deflate; server_max_window_bits=7, permessage-deflate"],
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
    ],
)
def test_a_server_takes_the_first_offer_that_it_can(offers: list[str], answer: str | None) -> None:
    header, codec = accept_extension(fields(*offers), [PerMessageDeflate(), Plain()])
    assert header == answer
    assert (codec is None) is (answer is None)
    assert isinstance(codec, PlainCodec) is ((answer or "").startswith("x-plain"))


def test_a_server_without_extensions_takes_none() -> None:
    assert accept_extension(fields("permessage-deflate"), []) == (None, None)


def test_a_client_takes_what_it_offered() -> None:
    assert finalize_extension(fields(), [Plain()]) is None
    assert isinstance(finalize_extension(fields("x-plain; a"), [Plain()]), PlainCodec)
    both = [Plain(), PerMessageDeflate()]
    codec = finalize_extension(fields("permessage-deflate; server_no_context_takeover"), both)
    assert codec is not None
    assert codec.rsv == 0x40


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (["x-other"], "server chose extension x-other, not offered"),
        (["x-plain", "x-plain"], "server chose several extensions"),
        (["x-plain, permessage-deflate"], "server chose several extensions"),
        (["x-plain; no"], "server said no"),
        (
            ["permessage-deflate; client_no_context_takeover=1"],
            "server answered permessage-deflate with parameter client_no_context_takeover=1",
        ),
    ],
)
def test_a_choice_that_fails_the_handshake(values: list[str], error: str) -> None:
    with pytest.raises(InvalidExtension) as caught:
        finalize_extension(fields(*values), [Plain(), PerMessageDeflate()])
    assert str(caught.value) == error


def test_what_can_be_offered() -> None:
    check_extensions([])
    check_extensions([Plain("a"), Plain("b"), PerMessageDeflate()])
    with pytest.raises(ValueError, match=r"^extensions are not all different$"):
        check_extensions([PerMessageDeflate(), Plain(), PerMessageDeflate()])
    for wrong in (PerMessageDeflate, "permessage-deflate", None):
        with pytest.raises(TypeError, match=r"^extensions must hold Extension objects, not "):
            check_extensions([wrong])


def test_what_was_checked_is_not_checked_again() -> None:
    class Unhashable(Plain):
        __hash__ = None  # type: ignore[assignment]

    checked = check_extensions([Unhashable()])
    assert list(checked) == [checked[0]]
    assert check_extensions(checked) is checked
