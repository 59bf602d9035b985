"""Retry-After: when a server that refused wants to be asked again (RFC 9110 10.2.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from .headers import Headers

__all__ = ["retry_after"]

_LONGEST: Final = 3600.0  # seconds; whoever names more is asked again after that


def retry_after(headers: Headers, now: datetime) -> float:
    """Return the seconds from ``now`` that the field asks for, at most an hour; 0 without it."""
    value = headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        delay = float(value[:9])
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):  # a year or an offset beyond all bounds
            return 0.0
        delay = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return min(max(delay, 0.0), _LONGEST)
