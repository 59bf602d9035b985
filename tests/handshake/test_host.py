"""Which hosts a server answers for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from wsproto_async import Headers, InvalidHost, Request
from wsproto_async.handshake.host import check_allowed_hosts, check_host

ALLOWED = ["example.com", "2001:db8::1", re.compile(r"[a-z]+\.example\.org")]


def request(host: str) -> Request:
    return Request("/", Headers([("Host", host)]))


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "EXAMPLE.com",
        "example.com:8765",
        "example.com:",
        "[2001:db8::1]",
        "[2001:db8::1]:443",
        "www.example.org",
        "WWW.example.org:80",
    ],
)
def test_hosts_that_are_allowed(host: str) -> None:
    check_host(request(host), ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "example.com.evil.com",
        "evil-example.com",
        "example.com.",
        "www.example.com",
        "127.0.0.1",
        "[2001:db8::2]",
        "a.b.example.org",
        "www.example.org.evil",
    ],
)
def test_hosts_that_are_not(host: str) -> None:
    with pytest.raises(InvalidHost, match="allowed_hosts") as caught:
        check_host(request(host), ALLOWED)
    assert caught.value.status == 421


def test_all_are_allowed_by_default() -> None:
    check_host(request("evil.com"), None)


def test_none_is_allowed() -> None:
    with pytest.raises(InvalidHost):
        check_host(request("localhost"), [])


@pytest.mark.parametrize(
    "host",
    ["example.com:443", "[::1]", "[::1]:443", "https://example.com", "a/b", "*.a.b", "", ":"],
)
def test_strings_that_no_host_is_equal_to(host: str) -> None:
    with pytest.raises(ValueError, match=" in allowed_hosts is no host: "):
        check_allowed_hosts(["example.com", host])


@pytest.mark.parametrize("host", [None, 5, b"example.com", re.compile(b"x")])
def test_what_is_no_host_at_all(host: Any) -> None:
    with pytest.raises(TypeError, match=r" in allowed_hosts is no string or pattern$"):
        check_allowed_hosts([host])


def test_hosts() -> None:
    check_allowed_hosts(ALLOWED)
    check_allowed_hosts(None)
    check_allowed_hosts(["localhost", "127.0.0.1", "::1", "b\xfccher.example"])


def test_a_string_is_no_sequence_of_hosts() -> None:
    with pytest.raises(TypeError, match="not a string"):
        check_allowed_hosts("example.com")
