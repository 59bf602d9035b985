"""What a load has shown."""

from __future__ import annotations

import json
from typing import Any

from wsproto_async.cli.bench.load import Load, Plan
from wsproto_async.cli.bench.report import as_object, as_text, summary

PLAN = {
    "connections": 3,
    "size": 1500,
    "text": False,
    "in_flight": 2,
    "rate": None,
    "duration": 2.0,
}
URL = "ws://h/"


def load(**plan: Any) -> Load:
    load = Load(Plan(**(PLAN | plan)), opened=2, elapsed=2.0, returned=5)
    for milliseconds in (0.3, 0.4, 0.45, 0.5, 3):
        load.latencies.add(milliseconds / 1e3)
    return load


def test_text() -> None:
    assert as_text(load(), URL) == [
        "ws://h/: 2 connections, 1,500 bytes of binary, up to 2 in flight, 2.0 s",
        "",
        "messages/s   2",
        "bytes/s      3.75 kB each way",
        "errors       0",
        "",
        "latency",
        "  least      300 µs",
        "  50 %       451 µs",
        "  90 %       3.00 ms",
        "  99 %       3.00 ms",
        "  99.9 %     3.00 ms",
        "  99.99 %    3.00 ms",
        "  most       3.00 ms",
        "",
        "  under  500 µs      80 %  ########################################",
        "  under 1.00 ms       0 %",
        "  under 2.00 ms       0 %",
        "  under 5.00 ms      20 %  ##########",
    ]


def test_what_went_wrong() -> None:
    found = load(rate=1234.5, text=True, size=1)
    found.errors.update(["the connection was cut off"] * 3 + ["other"])
    found.unsent = 1000
    found.give_up(4.0)
    found.give_up(3.0)
    assert as_text(found, URL)[:9] == [
        "ws://h/: 2 connections, 1 byte of text, up to 2 in flight, 1,234.5 messages/s wanted, "
        "2.0 s",
        "",
        "messages/s   2",
        "bytes/s      2 B each way",
        "errors       4",
        "  3 x the connection was cut off",
        "  1 x other",
        "unanswered   2, the oldest for 4.00 s",
        "not sent     1,000: the server, or this process, is too slow",
    ]


def test_nothing_came_back() -> None:
    nothing = Load(Plan(**PLAN), opened=2, elapsed=2.0, unsent=2)
    assert as_text(nothing, URL)[2:] == [
        "messages/s   0",
        "bytes/s      0 B each way",
        "errors       0",
    ]


def test_what_was_due_just_now_is_not_told() -> None:
    """A timer may be about to wake who sends it."""
    found = load(rate=100_000)
    found.unsent = 200
    assert not any("not sent" in line for line in as_text(found, URL))
    found.unsent = 201
    assert any("not sent" in line for line in as_text(found, URL))


def test_one_line() -> None:
    assert summary(load(), 2.0) == "2 messages/s, 99 % within 3.00 ms, 0 errors"
    assert summary(load(), 0) == "0 messages/s, 99 % within 3.00 ms, 0 errors"
    assert summary(Load(Plan(**PLAN)), 2.0) == "0 messages/s, 0 errors"


def test_an_object() -> None:
    found = as_object(load(), URL, is_interrupted=True)
    latency = found.pop("latency")
    assert found == {
        "url": URL,
        "connections": 2,
        "size": 1500,
        "text": False,
        "in_flight": 2,
        "rate": None,
        "duration": 2.0,
        "interrupted": True,
        "messages": 5,
        "messages_per_second": 2.5,
        "bytes_per_second": 3750.0,
        "errors": {},
        "late": 0,
        "unanswered": 0,
        "oldest_unanswered": 0.0,
        "unsent": 0,
    }
    assert (latency["least"], latency["most"]) == (0.0003, 0.003)
    assert list(latency["percentiles"]) == ["50", "90", "99", "99.9", "99.99"]
    assert sum(count for _, _, count in latency["histogram"]) == 5
    assert json.loads(json.dumps(found)) == found
