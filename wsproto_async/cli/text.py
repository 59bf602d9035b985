"""What a peer sends, as text for a terminal: none of it can move the cursor or hide.

All that commands print of a peer's goes through here.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final
from unicodedata import category

__all__ = ["duration", "escape", "hex_dump", "json_line", "quantity", "reindent"]

# Tabs, and what joins letters or emoji; unlike marks that turn text around. Spaces are as well.
_HARMLESS: Final = "\t\u200c\u200d"
_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_DEEPEST: Final = 32  # levels that are indented
_BYTES_IN_LINE: Final = 16


def escape(text: str) -> str:
    """Return ``text`` in one line, with escapes for all characters that are not to be seen."""
    if text.isprintable():
        return text
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character.isprintable() or character in _HARMLESS or category(character) == "Zs":
        return character
    return character.encode("unicode_escape", "surrogatepass").decode()


def reindent(text: str, longest: int) -> tuple[str, int] | None:
    """Return JSON with a line for each item and all values as they are; None for other text.

    The first ``longest`` characters of that, and how many of ``text``'s own are not there. Only
    objects and arrays count: a number or a word is text like any other.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    written: list[str] = []
    room = longest
    depth = 0
    before = ""
    for match in _JSON_TOKEN.finditer(text):
        token = match[0]
        is_end = token in ("}", "]")
        depth -= is_end
        space = " " if before == ":" else ""
        if (before not in ("{", "[")) if is_end else (before in ("{", "[", ",")):
            space = "\n" + "  " * min(depth, _DEEPEST)
        depth += token in ("{", "[")
        written.append((space + token)[:room])
        room -= len(space) + len(token)
        if room < 0:  # not all of it, since that can be far longer than the text
            return "".join(written), len(text) - match.end() + min(-room, len(token))
        before = token
    return "".join(written), 0


def hex_dump(data: bytes) -> list[str]:
    """Return lines of 16 bytes: their offset, their values, and those that are ASCII."""
    lines = []
    for start in range(0, len(data), _BYTES_IN_LINE):
        piece = data[start : start + _BYTES_IN_LINE]
        values = f"{piece[:8].hex(' '):23}  {piece[8:].hex(' '):23}"
        characters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)
        lines.append(f"{start:08x}  {values}  |{characters}|")
    return lines


def json_line(value: dict[str, Any]) -> str:
    """Return an object in one line of ASCII, without any control characters."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def quantity(count: int, noun: str) -> str:
    """Return a count with its noun in the right number."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(seconds: float) -> str:
    """Return a time with three digits and the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:#.3g} {unit}".replace(". ", " ")
    return f"{seconds * 1e6:#.3g} µs".replace(". ", " ")
