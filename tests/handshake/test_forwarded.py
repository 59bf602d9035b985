"""Whom a proxy speaks for."""

from __future__ import annotations

import pytest

from wsproto_async import Headers, InvalidHeader
from wsproto_async.handshake.forwarded import TrustedProxies

PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "unix"])
PROXY = "10.0.0.1"


def client(*fields: tuple[str, str], host: str = PROXY) -> str:
    return PROXIES.client(host, Headers(fields))


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "10.255.0.1", "2001:db8::7", "::ffff:10.0.0.1", "unix"]
)
def test_the_word_of_a_proxy_is_taken(host: str) -> None:
    assert client(("X-Forwarded-For", "8.8.8.8"), host=host) == "8.8.8.8"


@pytest.mark.parametrize("host", ["11.0.0.1", "127.0.0.1", "::1", "fe80::1%eth0", "nonsense"])
@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded"])
def test_the_word_of_anybody_else_is_not(host: str, name: str) -> None:
    assert client((name, "for=8.8.8.8"), host=host) == host


def test_nobody_is_trusted_by_default() -> None:
    proxies = TrustedProxies([])
    for host in ("127.0.0.1", "unix"):
        assert proxies.client(host, Headers([("X-Forwarded-For", "8.8.8.8")])) == host


def test_a_proxy_that_names_nobody() -> None:
    assert client() == PROXY


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("1.1.1.1, 8.8.8.8", "8.8.8.8"),  # the client wrote the first itself
        ("1.1.1.1,8.8.8.8 , 10.0.0.2,10.0.0.3", "8.8.8.8"),
        ("10.0.0.9, 10.0.0.2", "10.0.0.9"),
        ("8.8.8.8:4711", "8.8.8.8"),
        ("[2a00::1]:4711", "2a00::1"),
        ("[2a00::1]", "2a00::1"),
        ("2a00::1", "2a00::1"),
        ("8.8.8.8, unknown", PROXY),
        ("8.8.8.8, unknown, 10.0.0.2", "10.0.0.2"),
        ("fe80::1%\x9b31m x=y", PROXY),  # a scope may hold anything
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("evil", PROXY),
        ("", PROXY),
        ("8.8.8.8,", PROXY),
        ("8.8.8.8.8", PROXY),
        ("8.8.8.8:port", PROXY),
    ],
)
def test_x_forwarded_for(value: str, expected: str) -> None:
    assert client(("X-Forwarded-For", value)) == expected


def test_x_forwarded_for_in_several_headers() -> None:
    assert client(("X-Forwarded-For", "1.1.1.1"), ("x-forwarded-for", "8.8.8.8")) == "8.8.8.8"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=8.8.8.8", "8.8.8.8"),
        ("For=8.8.8.8;Proto=https;by=10.0.0.1", "8.8.8.8"),
        ("proto=https; for=8.8.8.8", "8.8.8.8"),
        ("for=1.1.1.1, for=8.8.8.8", "8.8.8.8"),
        ("for=8.8.8.8, for=10.0.0.2", "8.8.8.8"),
        ('for="8.8.8.8:4711"', "8.8.8.8"),
        ('for="[2a00::1]:4711"', "2a00::1"),
        (r'for="8.8.8\.8"', "8.8.8.8"),
        ('for=1.1.1.1;x="a,b", for=8.8.8.8', "8.8.8.8"),
        ("for=_hidden", PROXY),
        ("for=unknown", PROXY),
        ("proto=https", PROXY),
        ("for=8.8.8.8, proto=https", PROXY),
        ("", PROXY),
    ],
)
def test_forwarded(value: str, expected: str) -> None:
    assert client(("Forwarded", value)) == expected


@pytest.mark.parametrize(
    "value", ['for="1.1.1.1, for=8.8.8.8', "for", "for=", "for=[2a00::1]", 'for="a"b', "=1.1.1.1"]
)
def test_forwarded_that_is_malformed(value: str) -> None:
    with pytest.raises(InvalidHeader, match="malformed") as caught:
        client(("Forwarded", value))
    assert caught.value.status == 400


def test_two_headers_that_agree() -> None:
    assert client(("Forwarded", "for=8.8.8.8"), ("X-Forwarded-For", "8.8.8.8")) == "8.8.8.8"


def test_two_headers_that_disagree() -> None:
    """The proxy writes one of them, and hands on the other as the client wrote it."""
    with pytest.raises(InvalidHeader, match="different clients"):
        client(("Forwarded", "for=1.1.1.1"), ("X-Forwarded-For", "8.8.8.8"))


@pytest.mark.parametrize("networks", [["10.0.0.1/8"], ["localhost"], [""], ["10.0.0.0/33"]])
def test_what_is_no_network(networks: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        TrustedProxies(networks)


def test_a_string_is_no_sequence_of_networks() -> None:
    with pytest.raises(TypeError, match="not a string"):
        TrustedProxies("10.0.0.0/8")
