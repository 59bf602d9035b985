from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wsproto_async.handshake.headers import Headers
from wsproto_async.handshake.retry import retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("0", 0),
        ("7", 7),
        ("120", 120),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 400, 3600),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10),
        ("Fri, 02 Jan 2026 03:04:15", 10),
        ("Fri, 02 Jan 2026 05:04:15 +0200", 10),
        ("Fri, 02 Jan 2026 03:04:00 GMT", 0),
        ("Sat, 02 Jan 2027 03:04:05 GMT", 3600),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("٩", 0),
        ("Fri, 99 Foo 2026", 0),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", 0),
        ("Mon, 01 Jan 2027 00:00:00 +99999999999999", 0),
        ("Fri, 02 Jan 2026 99999999999:04:15 GMT", 0),
    ],
)
def test_retry_after(value: str | None, seconds: float) -> None:
    headers = Headers()
    if value is not None:
        headers = Headers.of_checked([("Retry-After", value)])
    assert retry_after(headers, NOW) == seconds
