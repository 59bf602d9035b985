"""A set of addresses and networks."""

from __future__ import annotations

import pytest

from wsproto_async.handshake.networks import Networks


@pytest.mark.parametrize(
    ("host", "is_in"),
    [
        ("10.0.0.0", True),
        ("10.0.0.255", True),
        ("10.0.1.0", False),
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::1", True),
        ("2001:db8::1%eth0", True),
        ("2001:db9::1", False),
        ("unix", True),
        ("unknown", False),
        ("", False),
    ],
)
def test_who_is_in(host: str, is_in: bool) -> None:
    networks = Networks(["10.0.0.0/24", "192.0.2.7", "2001:db8::/32", "unix"], "allow")
    assert (host in networks) is is_in


def test_nobody_is_in_none() -> None:
    networks = Networks([], "allow")
    assert "127.0.0.1" not in networks
    assert "unix" not in networks


def test_what_is_none() -> None:
    with pytest.raises(TypeError, match=r"^allow must be a sequence of strings, not a string$"):
        Networks("10.0.0.0/8", "allow")
    for wrong in ("example.com", "10.0.0.1/8", ""):
        with pytest.raises(ValueError):
            Networks([wrong], "allow")
