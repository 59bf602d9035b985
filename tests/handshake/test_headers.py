"""Header fields: case-insensitive names, ordered values, and nothing that HTTP cannot carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.exceptions import InvalidHeader
from wsproto_async.handshake.headers import (
    Headers,
    HeadersLike,
    check_field,
    is_token,
    parse_list,
    parse_tokens,
)

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PAIRS = [("Host", "a.example"), ("Cookie", "a=1"), ("X-Tag", "one"), ("cookie", "b=2")]


@pytest.mark.parametrize(
    ("fields", "pairs"),
    [
        (PAIRS, PAIRS),
        (iter(PAIRS), PAIRS),
        ({"Host": "a.example", "X-Tag": ""}, [("Host", "a.example"), ("X-Tag", "")]),
        (Headers(PAIRS), PAIRS),
        ((), []),
    ],
    ids=["pairs", "iterator", "mapping", "headers", "nothing"],
)
def test_fields_keep_their_order_and_their_case(
    fields: HeadersLike, pairs: list[tuple[str, str]]
) -> None:
    assert Headers(fields).pairs() == pairs


def test_names_compare_without_regard_to_case() -> None:
    headers = Headers(PAIRS)
    assert headers["HOST"] == headers["host"] == headers.get("hOsT") == "a.example"
    assert "X-TAG" in headers
    assert "Origin" not in headers


def test_the_values_of_a_repeated_field_are_joined() -> None:
    headers = Headers(PAIRS)
    assert headers["Cookie"] == "a=1, b=2"
    assert headers.get_all("COOKIE") == ["a=1", "b=2"]


def test_a_field_that_is_not_there() -> None:
    headers = Headers(PAIRS)
    assert headers.get_all("Origin") == []
    assert headers.get("Origin") is None
    assert headers.get("Origin", "null") == "null"
    with pytest.raises(KeyError, match="Origin"):
        headers["Origin"]


def test_what_is_no_name_is_not_in_them() -> None:
    assert 1 not in Headers(PAIRS)


def test_they_iterate_over_names_once_each() -> None:
    headers = Headers(PAIRS)
    assert list(headers) == ["host", "cookie", "x-tag"]
    assert len(headers) == 3
    assert dict(headers) == {"host": "a.example", "cookie": "a=1, b=2", "x-tag": "one"}


def test_setting_replaces_every_field_of_the_name() -> None:
    headers = Headers(PAIRS)
    headers["COOKIE"] = "c=3"
    assert headers.pairs() == [("Host", "a.example"), ("X-Tag", "one"), ("COOKIE", "c=3")]


def test_deleting_removes_every_field_of_the_name() -> None:
    headers = Headers(PAIRS)
    del headers["COOKIE"]
    del headers["Origin"]
    assert headers.pairs() == [("Host", "a.example"), ("X-Tag", "one")]


def test_adding_appends() -> None:
    headers = Headers(PAIRS)
    headers.add("Host", "b.example")
    assert headers.pairs() == [*PAIRS, ("Host", "b.example")]


def test_copies_are_independent() -> None:
    headers = Headers(PAIRS)
    copy = Headers(headers)
    copy.add("X", "y")
    headers.pairs().clear()
    assert headers.pairs() == PAIRS


def test_from_wire_takes_what_was_checked_before() -> None:
    assert Headers.of_checked(list(PAIRS)).pairs() == PAIRS


def test_repr_shows_all_fields() -> None:
    assert repr(Headers([("Host", "h")])) == "Headers([('Host', 'h')])"


def test_the_characters_of_a_token() -> None:
    assert [chr(code) for code in range(0x250) if is_token(chr(code))] == sorted(TOKEN_CHARACTERS)
    assert is_token(TOKEN_CHARACTERS)
    assert not is_token("")
    assert not is_token("a\n")


BAD_FIELDS = [
    ("", "value", "header name '' is not a token"),
    ("Na me", "value", "header name 'Na me' is not a token"),
    ("Name:", "value", "header name 'Name:' is not a token"),
    ("Näme", "value", "header name 'Näme' is not a token"),
    ("Name\r\nX", "value", "is not a token"),
    ("Name\n", "value", "is not a token"),
    ("Name", "a\r\nX: y", "value of header Name holds a character that HTTP cannot carry"),
    ("Name", "a\n", "value of header Name holds a character"),
    ("Name", "a\rb", "value of header Name holds a character"),
    ("Name", "a\0b", "value of header Name holds a character"),
    ("Name", "a\x1fb", "value of header Name holds a character"),
    ("Name", "a\x7fb", "value of header Name holds a character"),
    ("Name", "a€b", "value of header Name holds a character"),
    ("Name", " value", "value of header Name begins or ends with white space"),
    ("Name", "value\t", "value of header Name begins or ends with white space"),
    ("Name", " ", "value of header Name begins or ends with white space"),
]


@pytest.mark.parametrize(("name", "value", "error"), BAD_FIELDS, ids=repr)
def test_what_http_cannot_carry_is_refused_by_every_way_in(
    name: str, value: str, error: str
) -> None:
    headers = Headers(PAIRS)
    for attempt in (
        lambda: check_field(name, value),
        lambda: Headers([(name, value)]),
        lambda: Headers({name: value}),
        lambda: headers.add(name, value),
        lambda: headers.__setitem__(name, value),
    ):
        with pytest.raises(ValueError) as caught:
            attempt()
        assert error in str(caught.value)
    assert headers.pairs() == PAIRS, "nothing has changed"


@pytest.mark.parametrize("value", ["", "a", "a b\tc", "\x21\x7e", "caf\xe9 \x80\xff"], ids=ascii)
def test_what_http_can_carry(value: str) -> None:
    check_field(TOKEN_CHARACTERS, value)


@given(st.text(max_size=8), st.text(max_size=8))
def test_no_field_that_passes_can_break_a_line(name: str, value: str) -> None:
    try:
        check_field(name, value)
    except ValueError:
        return
    line = f"{name}: {value}".encode("latin-1")
    assert not set(line) & {0, 10, 13}


LISTS = [
    ([], []),
    (["a"], ["a"]),
    (["a, b"], ["a", "b"]),
    (["a,b", "c"], ["a", "b", "c"]),
    ([" \ta\t , , b,"], ["a", "b"]),
    ([""], []),
    ([",,,", " , "], []),
]


@pytest.mark.parametrize(("values", "elements"), LISTS)
def test_lists(values: list[str], elements: list[str]) -> None:
    headers = Headers.of_checked([("List", value) for value in values])
    assert parse_list(headers, "list") == elements
    assert parse_tokens(headers, "list") == elements


@pytest.mark.parametrize("value", ["a b", "a, b/1", '"a"', "a;q=1", "a, (b", "é"])
def test_a_list_of_tokens_holds_nothing_else(value: str) -> None:
    headers = Headers([("List", "first"), ("List", value)])
    with pytest.raises(InvalidHeader, match=r"^List is not a list of tokens$"):
        parse_tokens(headers, "List")


@pytest.mark.parametrize(
    "value",
    ["b" + " " * 8190 + "x", "," * 8192, " ," * 4096, '"' + "\\c" * 4095],
    ids=["spaces", "commas", "spaced commas", "an open quote"],
)
def test_lists_made_to_be_slow_are_read_in_one_pass(value: str) -> None:
    headers = Headers.of_checked([("List", value)] * 100)
    assert len(parse_list(headers, "List")) <= 100


def test_packed_headers_are_the_same() -> None:
    headers = Headers([*PAIRS, ("Empty", "")])
    headers.pack()
    assert headers["Cookie"] == "a=1, b=2"
    headers.pack()
    assert headers.pairs() == [*PAIRS, ("Empty", "")]
    headers.pack()
    headers.add("X-Tag", "two")
    assert headers.get_all("x-tag") == ["one", "two"]


@given(st.lists(st.tuples(st.text(TOKEN_CHARACTERS, min_size=1), st.text("a b:\t\xff"))))
def test_packing_loses_nothing(fields: list[tuple[str, str]]) -> None:
    fields = [(name, value.strip(" \t")) for name, value in fields]
    headers = Headers(fields)
    headers.pack()
    assert headers.pairs() == fields
