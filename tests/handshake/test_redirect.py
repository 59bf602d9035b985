"""Redirects: where they lead, which are refused, and what stays with an origin."""

from __future__ import annotations

import pytest

from wsproto_async.exceptions import InvalidRedirect, InvalidStatus
from wsproto_async.handshake.headers import Headers
from wsproto_async.handshake.http11 import Response
from wsproto_async.handshake.redirect import follow_redirect, is_redirect, public_headers
from wsproto_async.handshake.uri import parse_uri


def answer(location: str, status: int = 302) -> InvalidStatus:
    return InvalidStatus(Response(status, headers={"Location": location}))


@pytest.mark.parametrize(
    ("status", "expected"),
    [(301, True), (302, True), (303, True), (307, True), (308, True)]
    + [(status, False) for status in (200, 300, 304, 305, 306, 400, 500)],
)
def test_which_statuses_redirect(status: int, expected: bool) -> None:
    assert is_redirect(answer("/", status)) is expected


def test_one_location_is_needed() -> None:
    assert not is_redirect(InvalidStatus(Response(302)))
    twice = [("Location", "/a"), ("Location", "/b")]
    assert not is_redirect(InvalidStatus(Response(302, headers=twice)))


@pytest.mark.parametrize(
    ("uri", "location", "target"),
    [
        ("ws://h/a/b?q", "/c", "ws://h/c"),
        ("ws://h/a/b?q", "c?r", "ws://h/a/c?r"),
        ("ws://h/a/b?q", "", "ws://h/a/b?q"),
        ("ws://h/a", "?q", "ws://h/a?q"),
        ("ws://h/a", "../../b", "ws://h/b"),
        ("ws://h:1/a", "//other:2/b", "ws://other:2/b"),
        ("ws://h/", "ws://other/b#fragment", "ws://other/b"),
        ("ws://h/", "http://other/b", "ws://other/b"),
        ("ws://h/", "https://other/b", "wss://other/b"),
        ("ws://h/", "wss://h:8443", "wss://h:8443/"),
        ("ws://h/", "HTTP://other/b", "ws://other/b"),
        ("ws://h/", "Https://other/b", "wss://other/b"),
        ("ws://h/", "WSS://other/b", "wss://other/b"),
        ("wss://h/", "https://other", "wss://other/"),
        ("ws://[::1]:9/", "b", "ws://[::1]:9/b"),
    ],
)
def test_where_it_leads(uri: str, location: str, target: str) -> None:
    assert str(follow_redirect(parse_uri(uri), answer(location))) == target


@pytest.mark.parametrize("location", ["ws://h/", "http://h/", "HTTP://h/"])
def test_never_from_tls_to_none(location: str) -> None:
    with pytest.raises(InvalidRedirect) as caught:
        follow_redirect(parse_uri("wss://h/"), answer(location))
    assert str(caught.value) == "server answered 302 and redirects from wss: to ws:"
    assert caught.value.response.status == 302


@pytest.mark.parametrize("location", ["ftp://h/", "ws://h:port/", "javascript:x", "ws://[/", "\\b"])
def test_never_to_what_is_no_websocket_uri(location: str) -> None:
    with pytest.raises(InvalidRedirect, match=r"redirects to what is no ws: or wss: URI$"):
        follow_redirect(parse_uri("ws://h/"), answer(location))


@pytest.mark.parametrize(
    ("location", "credentials"),
    [
        ("/b", ("me", "secret")),
        ("ws://h/b", ("me", "secret")),
        ("ws://h:80/b", ("me", "secret")),
        ("ws://you:mine@h/b", ("you", "mine")),
        ("ws://other/b", None),
        ("ws://h:81/b", None),
        ("wss://h/b", None),
        ("http://sub.h/b", None),
    ],
)
def test_credentials_stay_with_their_origin(
    location: str, credentials: tuple[str, str] | None
) -> None:
    target = follow_redirect(parse_uri("ws://me:secret@h/"), answer(location))
    assert target.credentials == credentials


def test_headers_for_another_origin() -> None:
    headers = Headers(
        {"authorization": "a", "COOKIE": "b", "Proxy-Authorization": "c", "Host": "d", "X": "e"}
    )
    assert public_headers(headers).pairs() == [("X", "e")]
    assert len(headers) == 5
