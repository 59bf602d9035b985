"""Which rows the RFCs themselves ask for, and in which section.

The others are about resources, about HTTP, or about what a careful server does beyond that.
"""

from __future__ import annotations

from .row import Row

__all__ = ["section_of"]

_BY_ID = {
    "RFC 6455 4.2.1": ("H24", "H26", "H28", "H29", "X01"),
    "RFC 6455 4.2.2": ("X06",),
    "RFC 6455 4.4": ("H31",),
    "RFC 6455 5.1": ("F04",),
    "RFC 6455 5.2": ("F01", "F03", "F09"),
    "RFC 6455 5.3": ("F33",),
    "RFC 6455 5.4": ("F12", "F14", "F15", "X02"),
    "RFC 6455 5.5": ("F10",),
    "RFC 6455 5.5.1": ("F23", "F26", "F28"),
    "RFC 6455 7.4": ("F24",),
    "RFC 6455 8.1": ("T01", "T02", "T03", "T04", "X05"),
    "RFC 6455 9.1": ("H42",),
    "RFC 6455 10.4": ("F16", "D02"),
    "RFC 7692 6": ("X04",),
    "RFC 7692 7.1": ("H44", "H45", "H46"),
    "RFC 7692 7.2": ("D06", "D07", "D08", "X03"),
}
_BY_TITLE = {
    ("H17", "no Host"): "RFC 6455 4.2.1",
    ("H20", "HTTP/0.9"): "RFC 6455 4.2.1",
    ("H20", "HTTP/1.0"): "RFC 6455 4.2.1",
    ("F08", "one byte over max_size"): "RFC 6455 10.4",
    ("F08", "one byte over max_size, of text"): "RFC 6455 10.4",
    ("F32", "a violation many times"): "RFC 6455 7.1.7",
}
_LEFT_OPEN = {
    ("H26", "Upgrade: websocket/13"),  # RFC 9110 lets protocols have versions
    ("H45", "a bad offer before a good one"),  # both may be declined
    ("X03", "the tail that should have been taken away"),  # and was not
}

_SECTIONS = {id: section for section, ids in _BY_ID.items() for id in ids}


def section_of(row: Row) -> str | None:
    """Return the section that asks for what the row expects, or for the least of it."""
    name = row.id, row.title
    if name in _LEFT_OPEN:
        return None
    return _BY_TITLE.get(name) or _SECTIONS.get(row.id)
