"""The page itself: nothing in it is secret, and nothing from elsewhere can be in it."""

from __future__ import annotations

import re

from asking import TOKEN, echo, get

from wsproto_async import serve
from wsproto_async.status import Status


async def test_its_policy_and_that_it_asks_for_nothing() -> None:
    async with serve(echo, 0, status=Status(token=TOKEN)) as server:
        answer = await get(server, "/status")
    page = answer.body.decode()
    assert TOKEN not in page
    assert answer.header("Referrer-Policy") == "no-referrer"
    assert answer.header("Cache-Control") == "no-store"
    assert answer.header("X-Content-Type-Options") == "nosniff"
    policy = dict(
        part.partition(" ")[::2] for part in answer.header("Content-Security-Policy").split("; ")
    )
    for name in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert policy[name] == "'none'"
    for name in ("style-src", "script-src"):
        assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy[name])
    assert policy["connect-src"] == "'self'"
    assert not re.search(r"\son\w+=|\sstyle=|<(?:script|style|link|img)[^>]* src=", page)
    for target in re.findall(r'(?:href|src)="([^"]*)"', page):
        assert target.startswith("data:")
