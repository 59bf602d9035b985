"""What a peer sends, as text for a terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsproto_async.cli.text import duration, escape, hex_dump, json_line, quantity, reindent


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Grüße, 世界 \u3000\u00a0", "Grüße, 世界 \u3000\u00a0"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("a\tb", "a\tb"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\r\nb", r"a\r\nb"),
        ("\x7f\x80\x9b31m", r"\x7f\x80\x9b31m"),
        ("\u202eright to left\u2066", r"\u202eright to left\u2066"),
        ("\u2028\u2029\ufeff", r"\u2028\u2029\ufeff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_is_not_to_be_seen_is_escaped(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_no_character_moves_the_cursor() -> None:
    points = (*range(0x3100), *range(0xD7F0, 0xE010), *range(0xFE00, 0x10000), 0xE0001, 0xE0041)
    every = escape("".join(map(chr, points)))
    categories = {unicodedata.category(each) for each in every if each not in "\t\u200c\u200d"}
    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})


@pytest.mark.parametrize(
    "text", ["", "text", "5", '"a"', "null", "{", "{}x", "[1,]", "[" * 100_000, "[" + "9" * 9999]
)
def test_other_text_is_no_json(text: str) -> None:
    assert reindent(text, 1000) is None


def laid_out(text: str) -> str:
    whole, left_out = reindent(text, 10_000)
    assert left_out == 0
    return whole


def test_json_has_a_line_for_each_item() -> None:
    assert laid_out(' {"a":[1,{}, [ ]],"b" : {"c":"x,[ \\" y"}}\n') == (
        '{\n  "a": [\n    1,\n    {},\n    []\n  ],\n  "b": {\n    "c": "x,[ \\" y"\n  }\n}'
    )


def test_values_of_json_stay_as_they_are() -> None:
    assert laid_out('{"a":1.50,"a":1E400,"b":12345678901234567890123,"c":"\\u00e9"}') == (
        '{\n  "a": 1.50,\n  "a": 1E400,\n  "b": 12345678901234567890123,\n  "c": "\\u00e9"\n}'
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.lists(VALUES, max_size=4), st.booleans())
def test_json_is_laid_out_as_python_does(value: object, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    assert laid_out(text) == json.dumps(value, ensure_ascii=is_ascii, indent=2)


def test_long_json_is_cut() -> None:
    text = '{"a" :[1, "text"]}'
    whole = laid_out(text)
    for longest in range(len(whole)):
        shown, left_out = reindent(text, longest)
        assert shown == whole[:longest]
        # What is left out of the text begins where it is cut, but for the space around.
        rest = "".join(whole[longest:].split())
        assert rest == "".join(text[len(text) - left_out :].split())
    assert reindent(text, len(whole)) == (whole, 0)


def test_deep_json_is_indented_a_little() -> None:
    lines = laid_out("[" * 50 + "1" + "]" * 50).split("\n")
    assert [len(line) - 1 for line in lines] == [
        2 * min(depth, 32) for depth in (*range(51), *range(49, -1, -1))
    ]


def test_a_hex_dump() -> None:
    assert hex_dump(b"") == []
    assert hex_dump(b"GET / \x00\x1b\xff\x7f~0123456") == [
        "00000000  47 45 54 20 2f 20 00 1b  ff 7f 7e 30 31 32 33 34  |GET / ....~01234|",
        "00000010  35 36                                             |56|",
    ]


def test_an_object_in_a_line_of_ascii() -> None:
    line = json_line({"data": 'é\n\x7f\x9b"'})
    assert line == r'{"data": "\u00e9\n\u007f\u009b\""}'
    assert json.loads(line) == {"data": 'é\n\x7f\x9b"'}


def test_quantities() -> None:
    assert [quantity(count, "byte") for count in (0, 1, 2345)] == [
        "0 bytes",
        "1 byte",
        "2,345 bytes",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0000005, "0.500 µs"),
        (0.0000123, "12.3 µs"),
        (0.00123, "1.23 ms"),
        (0.123, "123 ms"),
        (1, "1.00 s"),
        (12.34, "12.3 s"),
        (600, "600 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
