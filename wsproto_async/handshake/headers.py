"""HTTP header fields: a case-insensitive view on an ordered list, and RFC 9110's list syntax."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from ..exceptions import InvalidHeader

__all__ = [
    "Headers",
    "HeadersLike",
    "check_field",
    "check_field_once",
    "is_token",
    "parse_fields",
    "parse_list",
    "parse_tokens",
]

HeadersLike = Mapping[str, str] | Iterable[tuple[str, str]]

# RFC 9110 5.6.2 and 5.5; a value holds no control characters but HTAB.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUE: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_FIELD: Final = re.compile(
    r"^([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)\r\n", re.MULTILINE
)


class HeadersCore:
    """All of :class:`Headers` but its base: a compiled class has none of Python's."""

    __slots__ = ("_content", "_index")

    def __init__(self, fields: HeadersLike = ()) -> None:
        self._content: list[tuple[str, str]] | str = []  # a string if packed
        self._index: dict[str, list[str]] | None = None
        if not isinstance(fields, (tuple, list)):
            if isinstance(fields, HeadersCore):  # which have been checked
                self._content = fields.pairs()
                return
            if isinstance(fields, Mapping):
                fields = fields.items()
        for name, value in fields:
            check_field(name, value)
            self._content.append((name, value))

    def pack(self) -> None:
        """Keep the fields as they go over the wire, in less memory, until they are asked for."""
        self._content = self.serialize()
        self._index = None

    def serialize(self) -> str:
        """Return the fields as they go over the wire, each line with its end."""
        if isinstance(self._content, str):
            return self._content
        return "".join([f"{name}: {value}\r\n" for name, value in self._content])

    def _fields(self) -> list[tuple[str, str]]:
        if isinstance(self._content, str):
            self._content = _split(self._content)
        return self._content

    def add(self, name: str, value: str) -> None:
        """Append a field; raises ValueError if the name or the value is not valid HTTP."""
        check_field(name, value)
        self.add_checked(name, value)

    def add_checked(self, name: str, value: str) -> None:
        """Append a field that is known to be valid."""
        self._fields().append((name, value))
        self._index = None

    def __setitem__(self, name: str, value: str) -> None:
        check_field(name, value)  # before anything is deleted
        del self[name]
        self.add_checked(name, value)

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        self._content = [pair for pair in self._fields() if pair[0].lower() != key]
        self._index = None

    def get_all(self, name: str) -> list[str]:
        """Return the values of every field of that name, in order; empty if there is none."""
        index = self._index
        if index is None:
            self._index = index = _index(self._fields())
        values = index.get(name.lower())
        return [] if values is None else values.copy()

    def pairs(self) -> list[tuple[str, str]]:
        """Return all fields, in order, as sent."""
        return list(self._fields())

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        key = name.lower()
        if self._index is not None:
            return key in self._index
        # Of the few fields of a response none is asked for often.
        return key in [field.lower() for field, _ in self._fields()]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self._fields()))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._fields()})

    def __repr__(self) -> str:
        return f"Headers({self._fields()!r})"


class Headers(HeadersCore, Mapping[str, str]):
    """Header fields in their order; names compare without regard to case.

    ``headers[name]`` and ``get`` give a field's value, the values joined by ``", "`` where the
    field stands several times (RFC 9110 5.3); ``get_all`` gives them one by one, ``pairs`` all
    fields as sent. ``headers.add`` appends one and raises ValueError for what HTTP cannot carry.
    """

    __slots__ = ()

    @staticmethod
    def of_checked(pairs: list[tuple[str, str]]) -> Headers:
        """Wrap fields that are known to be valid."""
        return _wrapped(pairs, None)


def _wrapped(content: list[tuple[str, str]] | str, index: dict[str, list[str]] | None) -> Headers:
    headers = Headers()
    headers._content = content
    headers._index = index
    return headers


def _index(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    index: dict[str, list[str]] = {}
    for name, value in fields:
        key = name.lower()
        values = index.get(key)
        if values is None:
            index[key] = [value]
        else:
            values.append(value)
    return index


def _split(lines: str) -> list[tuple[str, str]]:
    fields = _FIELD.findall(lines)
    if " \r" in lines or "\t\r" in lines:  # which are few
        fields = [(name, value.rstrip(" \t")) for name, value in fields]
    return fields


def parse_fields(lines: str, most: int) -> Headers | None:
    """Return the fields of whole header lines, None if there are over ``most``, or any is wrong."""
    fields = _split(lines)
    # A line that does not fit is passed over as a whole.
    if len(fields) != lines.count("\n") or len(fields) > most:
        return None
    return _wrapped(lines, _index(fields))


def is_token(text: str) -> bool:
    """Tell if ``text`` is a token of RFC 9110 5.6.2."""
    return _TOKEN.fullmatch(text) is not None


@lru_cache(64)
def check_field_once(name: str, value: str) -> None:
    """Do what ``check_field`` does, for one of the few that are given again and again."""
    check_field(name, value)


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
    values = headers.get_all(name)
    elements = [each.strip(" \t") for value in values for each in value.split(",")]
    return [element for element in elements if element]


def parse_tokens(headers: Headers, name: str) -> list[str]:
    """Return a field's comma-separated tokens; raises InvalidHeader if an element is none."""
    if name not in headers:
        return []
    tokens = parse_list(headers, name)
    if not all(map(is_token, tokens)):
        raise InvalidHeader(f"{name} is not a list of tokens")
    return tokens
