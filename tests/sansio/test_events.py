"""Events are values: they compare, hash, show themselves and can be told apart."""

from __future__ import annotations

import pytest

from wsproto_async.codec.close import Close
from wsproto_async.sansio import events
from wsproto_async.sansio.events import Event, Ping, Pong


def test_equal_payload_equal_event() -> None:
    assert Ping(b"x") == Ping(b"x")
    assert hash(Ping(b"x")) == hash(Ping(b"x"))
    assert Ping(b"x") != Ping(b"y")
    assert Pong(b"x") != Pong(b"")


def test_a_ping_is_no_pong() -> None:
    assert Ping(b"x") != Pong(b"x")
    assert Pong(b"x") != Ping(b"x")
    assert not isinstance(Pong(b"x"), Ping)
    assert not isinstance(Ping(b"x"), Pong)
    assert len({Ping(b"x"), Pong(b"x"), Ping(b"x")}) == 2


@pytest.mark.parametrize("other", [b"x", "x", None, Close(1000)])
def test_a_ping_is_nothing_else(other: object) -> None:
    assert Ping(b"x") != other


def test_repr() -> None:
    assert repr(Ping(b"x\n")) == "Ping(b'x\\n')"
    assert repr(Pong(b"")) == "Pong(b'')"


def test_close_is_the_codec_s() -> None:
    assert events.Close is Close


def kind(event: Event) -> str:
    match event:
        case str():
            return "text"
        case bytes():
            return "binary"
        case Ping():
            return "ping"
        case Pong():
            return "pong"
        case Close():
            return "close"
    raise AssertionError(event)


def test_they_are_made_for_match() -> None:
    happened = ["", b"", Ping(b""), Pong(b""), Close(1000)]
    assert [kind(event) for event in happened] == ["text", "binary", "ping", "pong", "close"]
