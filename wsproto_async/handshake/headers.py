"""HTTP header fields: a case-insensitive view on an ordered list, and RFC 9110's list syntax."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ..exceptions import InvalidHeader

__all__ = ["Headers", "HeadersLike", "check_field", "is_token", "parse_list", "parse_tokens"]

HeadersLike = Mapping[str, str] | Iterable[tuple[str, str]]

# RFC 9110 5.6.2 and 5.5; a value holds no control characters but HTAB.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUE: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class Headers(Mapping[str, str]):
    """Header fields in their order; names compare without regard to case.

    ``headers[name]`` and ``get`` give a field's value, the values joined by ``", "`` where the
    field stands several times (RFC 9110 5.3); ``get_all`` gives them one by one, ``pairs`` all
    fields as sent. ``headers.add`` appends one and raises ValueError for what HTTP cannot carry.
    """

    __slots__ = ("_pairs",)

    def __init__(self, fields: HeadersLike = ()) -> None:
        self._pairs: list[tuple[str, str]] = []
        if isinstance(fields, Headers):  # which have been checked
            self._pairs += fields.pairs()
            return
        for name, value in fields.items() if isinstance(fields, Mapping) else fields:
            self.add(name, value)

    @classmethod
    def from_wire(cls, pairs: list[tuple[str, str]]) -> Headers:
        """Wrap fields that the HTTP parser has checked already."""
        headers = cls()
        headers._pairs = pairs
        return headers

    def add(self, name: str, value: str) -> None:
        """Append a field; raises ValueError if the name or the value is not valid HTTP."""
        check_field(name, value)
        self._pairs.append((name, value))

    def __setitem__(self, name: str, value: str) -> None:
        check_field(name, value)
        del self[name]
        self._pairs.append((name, value))

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != key]

    def get_all(self, name: str) -> list[str]:
        """Return the values of every field of that name, in order; empty if there is none."""
        key = name.lower()
        return [value for field, value in self._pairs if field.lower() == key]

    def pairs(self) -> list[tuple[str, str]]:
        """Return all fields, in order, as sent."""
        return list(self._pairs)

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self._pairs))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._pairs})

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"


def is_token(text: str) -> bool:
    """Tell if ``text`` is a token of RFC 9110 5.6.2."""
    return _TOKEN.fullmatch(text) is not None


def check_field(name: str, value: str) -> None:
    """Raise ValueError for a field that HTTP cannot carry, line breaks above all."""
    if not is_token(name):
        raise ValueError(f"header name {name!r} is not a token")
    if _NOT_IN_VALUE.search(value):
        raise ValueError(f"value of header {name} holds a character that HTTP cannot carry")
    if value != value.strip(" \t"):
        raise ValueError(f"value of header {name} begins or ends with white space")


def parse_list(headers: Headers, name: str) -> list[str]:
    """Return a field's comma-separated elements (RFC 9110 5.6.1), empty ones left out."""
    elements = [each.strip(" \t") for value in headers.get_all(name) for each in value.split(",")]
    return [element for element in elements if element]


def parse_tokens(headers: Headers, name: str) -> list[str]:
    """Return a field's comma-separated tokens; raises InvalidHeader if an element is none."""
    tokens = parse_list(headers, name)
    if not all(map(is_token, tokens)):
        raise InvalidHeader(f"{name} is not a list of tokens")
    return tokens
