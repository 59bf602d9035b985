"""The options that tell what to connect to, and how."""

from __future__ import annotations

import argparse
import ssl

import pytest

from wsproto_async.cli import target
from wsproto_async.cli.exits import UsageError


def options_of(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    target.add_to(parser)
    return target.connect_options(parser.parse_args(arguments))


def test_the_defaults() -> None:
    assert options_of("ws://h/") == {
        "uri": "ws://h/",
        "ssl": None,
        "subprotocols": [],
        "compression": "deflate",
        "origin": None,
        "additional_headers": [],
        "proxy": True,
        "open_timeout": 10.0,
        "close_timeout": target.CLOSE_TIMEOUT,
    }


def test_what_is_passed_on() -> None:
    options = options_of(
        *("ws://h/", "--subprotocol", "b", "--subprotocol", "a", "--subprotocol", "b"),
        *("--origin", "https://a.example", "--timeout", "2.5", "--proxy", "socks5://p:1"),
        "--no-compression",
        *("-H", "Cookie: a=1", "--header", "X-Empty:", "-H", "cookie:b=2:3"),
    )
    assert options["subprotocols"] == ["b", "a"]
    assert options["compression"] is None
    assert options["origin"] == "https://a.example"
    assert options["additional_headers"] == [
        ("Cookie", "a=1"),
        ("X-Empty", ""),
        ("cookie", "b=2:3"),
    ]
    assert options["open_timeout"] == 2.5
    assert options["proxy"] == "socks5://p:1"
    assert options_of("ws://h/", "--no-proxy")["proxy"] is None


def test_certificates_are_checked(ca_file: str) -> None:
    context = options_of("wss://h/")["ssl"]
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    context = options_of("wss://h/", "--cacert", ca_file)["ssl"]
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    assert [cert["issuer"][0][0][0] for cert in context.get_ca_certs()] == ["organizationName"]


def test_certificates_are_not_checked() -> None:
    context = options_of("wss://h/", "--insecure")["ssl"]
    assert context.verify_mode == ssl.CERT_NONE and not context.check_hostname


@pytest.mark.parametrize("content", [None, "not PEM"])
def test_a_file_without_certificates(tmp_path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"^no certificates in .*ca\.pem: ."):
        options_of("wss://h/", "--cacert", str(path))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("http://h/", "argument URL: 'http://h/' is not a ws: or wss: URI"),
        ("ws://h/#x", "has a fragment"),
        ("ws://h/\udcff", r"argument URL: 'ws://h/\udcff' is not UTF-8"),
        (f"ws://{'é' * 70}/", "label"),
        ("ws://h/ -H Name", "argument -H/--header: 'Name' is not of the form 'Name: value'"),
        ("ws://h/ -H a/b:c", "header name 'a/b' is not a token"),
        ("ws://h/ -H a:\x1b", "value of header a holds a character that HTTP cannot carry"),
        ("ws://h/ -H Upgrade:foo", "argument -H/--header: Upgrade is the handshake's own"),
        ("ws://h/ -H connection:x", "connection is the handshake's own"),
        ("ws://h/ -H Sec-WebSocket-Key:x", "Sec-WebSocket-Key is the handshake's own"),
        ("ws://h/ -H Sec-WebSocket-Version:8", "Sec-WebSocket-Version is the handshake's own"),
        ("ws://h/ -H Sec-WebSocket-Accept:x", "Sec-WebSocket-Accept is the handshake's own"),
        ("ws://h/ -H Sec-WebSocket-Protocol:x", "the handshake's own; take --subprotocol"),
        ("ws://h/ -H sec-websocket-extensions:x", "own; --no-compression offers none"),
        ("ws://h/ --origin a\r\nb", "value of header Origin holds"),
        ("ws://h/ --subprotocol a,b", "argument --subprotocol: 'a,b' is no token"),
        ("ws://h/ --proxy ftp://p", "a proxy's URI needs a host and one of http:, https:, socks4:"),
        ("ws://h/ --proxy http://p --no-proxy", "not allowed with argument --proxy"),
        ("ws://h/ --insecure --cacert x", "not allowed with argument --insecure"),
        ("ws://h/ --timeout 0", "argument --timeout: must be from 0.001 to 86400"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: str, complaint: str) -> None:
    with pytest.raises(SystemExit) as caught:
        options_of(*arguments.split(" "))
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err
