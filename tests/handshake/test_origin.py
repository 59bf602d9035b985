"""Which pages may connect: the defence against cross-site WebSocket hijacking."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.exceptions import InvalidOrigin
from wsproto_async.handshake.headers import Headers
from wsproto_async.handshake.http11 import Request
from wsproto_async.handshake.origin import Origins, check_origin, check_origins


def request(origins: Sequence[str | None], host: str = "example.com") -> Request:
    fields = [("Origin", origin) for origin in origins if origin is not None]
    return Request("/", Headers.of_checked([("Host", host), *fields]))


def is_allowed(origin: str | None, origins: Origins, host: str = "example.com") -> bool:
    try:
        check_origin(request([origin], host), origins)
    except InvalidOrigin as exc:
        assert exc.status == 403
        assert str(exc) == f"origin {origin} is not allowed by the parameter origins"
        return False
    return True


SAME_ORIGIN = [
    # (Origin, Host, allowed)
    (None, "example.com", True),
    ("http://example.com", "example.com", True),
    ("https://example.com", "example.com", True),
    ("HTTP://EXAMPLE.com", "example.COM", True),
    ("http://example.com:80", "example.com", True),
    ("https://example.com:443", "example.com", True),
    ("https://example.com", "example.com:443", True),
    ("http://example.com:8765", "example.com:8765", True),
    ("http://example.com:", "example.com", True),
    ("http://[2001:db8::1]:81", "[2001:DB8::1]:81", True),
    ("http://192.0.2.1", "192.0.2.1", True),
    # another port, scheme, host
    ("http://example.com:8080", "example.com", False),
    ("http://example.com", "example.com:8080", False),
    ("http://example.com", "example.com:443", False),
    ("https://example.com:80", "example.com", False),
    ("ftp://example.com", "example.com", False),
    ("ws://example.com", "example.com", False),
    ("chrome-extension://example.com", "example.com", False),
    ("http://example.com.evil", "example.com", False),
    ("http://evil-example.com", "example.com", False),
    ("http://www.example.com", "example.com", False),
    ("http://192.0.2.2", "192.0.2.1", False),
    # not an origin
    ("null", "example.com", False),
    ("null", "null", False),
    ("", "example.com", False),
    ("example.com", "example.com", False),
    ("//example.com", "example.com", False),
    ("http:example.com", "example.com", False),
    ("http://", "example.com", False),
    ("http://:80", "example.com", False),
    ("http://example.com/", "example.com", False),
    ("http://example.com?x", "example.com", False),
    ("http://example.com#x", "example.com", False),
    ("http://example.com\t", "example.com", False),
    ("http://user@example.com", "example.com", False),
    ("http://example.com@evil.com", "example.com", False),
    ("http://evil.com\\@example.com", "example.com", False),
    ("http://example.com:x", "example.com", False),
    ("http://example.com:99999", "example.com", False),
    ("http://[::1", "example.com", False),
    ("http://example.com http://example.com", "example.com", False),
    # the host's side
    ("http://example.com", "example.com:x", False),
    ("http://example.com", "example.com:99999", False),
    # loopback names trust each other on any ports
    ("http://localhost:3000", "127.0.0.1:8765", True),
    ("http://127.0.0.1:3000", "localhost:8765", True),
    ("https://localhost", "localhost:8765", True),
    ("http://[::1]:3000", "127.0.0.1:8765", True),
    ("http://127.9.9.9", "[::1]:8765", True),
    ("http://app.localhost:3000", "LOCALHOST:8765", True),
    ("http://localhost.evil", "localhost", False),
    ("http://notlocalhost", "localhost", False),
    ("http://127.0.0.1.evil", "127.0.0.1", False),
    ("http://128.0.0.1", "127.0.0.1", False),
    ("http://evil.com", "localhost:8765", False),
    ("http://localhost:3000", "example.com", False),
    ("null", "localhost", False),
]


@pytest.mark.parametrize(("origin", "host", "allowed"), SAME_ORIGIN)
def test_same_origin(origin: str | None, host: str, allowed: bool) -> None:
    assert is_allowed(origin, "same-origin", host) is allowed


LISTED: Origins = ["https://good.com", re.compile(r"https://[a-z]+\.good\.com")]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://good.com", True),
        ("https://app.good.com", True),
        ("https://GOOD.com", False),
        ("http://good.com", False),
        ("https://good.com:444", False),
        ("https://good.com.evil", False),
        ("https://app.good.com.evil", False),
        ("evil https://app.good.com", False),
        ("https://example.com", False),
        ("null", False),
        (None, False),
    ],
)
def test_a_list_allows_what_it_names(origin: str | None, allowed: bool) -> None:
    assert is_allowed(origin, LISTED) is allowed


@pytest.mark.parametrize(
    ("origin", "origins", "allowed"),
    [
        (None, [None], True),
        (None, ["https://good.com", None], True),
        ("https://good.com", [None], False),
        (None, [re.compile(".*")], False),
        ("null", ["null"], True),
        ("https://good.com", [], False),
        (None, [], False),
        ("https://good.com", ("https://good.com",), True),
    ],
)
def test_none_in_a_list_stands_for_no_origin(
    origin: str | None, origins: Origins, allowed: bool
) -> None:
    assert is_allowed(origin, origins) is allowed


@pytest.mark.parametrize("origin", [None, "null", "https://evil.com", "http://["])
def test_none_allows_everything(origin: str | None) -> None:
    check_origin(request([origin]), None)
    check_origin(request([origin, origin]), None)


@pytest.mark.parametrize("origins", ["same-origin", ["http://example.com", None]])
def test_two_origins_are_none(origins: Origins) -> None:
    twice = request(["http://example.com", "http://example.com"])
    with pytest.raises(InvalidOrigin, match=r"^more than one Origin header$") as caught:
        check_origin(twice, origins)
    assert caught.value.status == 403


def test_a_refusal_names_the_origin_and_the_parameter() -> None:
    with pytest.raises(InvalidOrigin) as caught:
        check_origin(request(["http://evil.com"]), "same-origin")
    assert str(caught.value) == "origin http://evil.com is not allowed by the parameter origins"


@pytest.mark.parametrize(
    "origin",
    [
        "example.com",
        "//example.com",
        "https://example.com/",
        "https://example.com/chat",
        "https://example.com?x",
        "https://user@example.com",
        "https://Example.com",
        "HTTPS://example.com",
        "https://*.example.com",
        "*",
        "",
        " https://example.com",
    ],
)
def test_strings_that_no_origin_is_equal_to(origin: str) -> None:
    with pytest.raises(ValueError, match=" in origins is no origin: "):
        check_origins(["https://good.com", origin])


@pytest.mark.parametrize("origin", [5, b"https://good.com", ["https://good.com"], re.compile(b"x")])
def test_what_is_no_origin_at_all(origin: Any) -> None:
    with pytest.raises(TypeError, match=r" in origins is no string, pattern or None$"):
        check_origins([origin])


def test_origins() -> None:
    check_origins(LISTED)
    check_origins(None)
    check_origins("same-origin")
    check_origins(["http://a.b:8000", "http://[::1]:80", "app://-", "file://", "null", None])


@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=30))
def test_any_origin_is_allowed_or_refused(text: str) -> None:
    for origin in (text, f"http://{text}", f"https://example.com{text}", f"http://[{text}]"):
        if is_allowed(origin, "same-origin"):
            assert origin.lower().startswith(("http://example.com", "https://example.com"))


def test_a_string_is_no_sequence_of_origins() -> None:
    with pytest.raises(TypeError, match="not a string"):
        check_origins("https://good.com")  # type: ignore[arg-type]
