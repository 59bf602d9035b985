"""The opening handshake, as a client may send it to a server."""

from __future__ import annotations

from collections.abc import Iterator

from ..peer import Peer
from ..received import Received
from ..row import (
    Expectation,
    Row,
    Send,
    accepted,
    any_of,
    cut_off,
    echo,
    hang_up,
    response_with,
    response_without,
    status,
)
from ..wire import DEFLATE, KEY, TEXT, Wire, accept_token, head

__all__ = ["HANDSHAKE"]

CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(189))
VERSION_13 = ("Sec-WebSocket-Version", "13")
UPGRADE = ("Upgrade", "websocket")
malformed = status(400)
refused = any_of(hang_up, status(400))
expired = any_of(hang_up, status(408, 503))


def _agrees(got: Received) -> bool:
    fields = got.headers
    connection = fields.get("connection", "").lower().replace(" ", "").split(",")
    return (
        accepted.holds(got)
        and fields.get("upgrade", "").lower() == "websocket"
        and "upgrade" in connection
        and fields.get("sec-websocket-accept") == accept_token(KEY)
        and "sec-websocket-extensions" not in fields
        and fields.get("sec-websocket-protocol", "x-one.invalid").startswith("x-")
    )


agreed = Expectation(
    "101 with Upgrade, Connection, the right Sec-WebSocket-Accept, and nothing not offered",
    _agrees,
    probes=True,
)


def line(id: str, title: str, start: str, expect: Expectation = malformed) -> Row:
    """A request that is right but for its first line."""
    return Row(id, title, expect, lambda wire: wire.request(start))


def more(id: str, title: str, *lines: str, expect: Expectation = malformed) -> Row:
    """A request that is right but for lines added."""
    return Row(id, title, expect, lambda wire: wire.request("", *lines))


def other(id: str, title: str, name: str, *lines: str, expect: Expectation = malformed) -> Row:
    """A request that is right but for the lines in place of one field's."""
    replaced = {name.replace("-", "_"): None}
    return Row(id, title, expect, lambda wire: wire.request("", *lines, **replaced))


BEGUN: dict[str, Send] = {
    "a method": b"GET",
    "a request line": b"GET / HTTP/1.1\r\n",
    "a head but for its last line": lambda wire: wire.request()[:-2],
}


def silence(wire: Wire) -> bytes:
    return b""


async def drip(peer: Peer) -> None:
    """A header line that grows for as long as it is listened to."""
    await peer.send(peer.wire.request()[:-2] + b"X-Slow: ")
    while not peer.received.is_over:
        await peer.send(b"x")
        await peer.pause(0.02)


async def endless_head(peer: Peer) -> None:
    """20 MB of one header line, in pieces of 1000 bytes."""
    await peer.send(peer.wire.request()[:-2] + b"X-Long: ")
    for _ in range(20_000):
        if peer.received.is_verdict:
            break
        await peer.send(b"x" * 1000)


async def reset_midway(peer: Peer) -> None:
    await peer.send(peer.wire.request()[:60])
    peer.reset()


async def finish_at_once(peer: Peer) -> None:
    await peer.send(peer.wire.request())
    peer.finish()


async def another_request_after_the_refusal(peer: Peer) -> None:
    await peer.send(peer.wire.request(Upgrade=None))
    await peer.send_until_cut_off(peer.wire.request() * 400)


def hosts() -> Iterator[Row]:
    yield other("H17", "no Host", "Host")
    yield Row("H17", "Host twice", status(400), lambda wire: wire.request("", f"Host: {wire.host}"))
    for title, value in {
        "empty": "",
        "a list": "localhost, other",
        "with a path": "localhost/x",
        "with a user": "user@localhost",
        "with a user and a password": "a:b@localhost",
        "with a space": "local host",
        "with an IPv6 zone": "[fe80::1%25eth0]",
        "an unclosed bracket": "[::1",
        "two colons": "localhost:80:80",
        "a port that is no number": "localhost:http",
        "a port with a sign": "localhost:+80",
        "a query": "localhost?x",
        "a backslash": "localhost\\evil",
        "a quoted name": '"localhost"',
        "beyond ASCII": "löcalhost",
    }.items():
        yield other("H17", f"Host: {title}", "Host", f"Host: {value}")
    # RFC 3986 3.2.3 sets a port's digits no limit.
    beyond = any_of(accepted, status(400))
    yield other("H17", "Host: a port over 65535", "Host", "Host: localhost:99999", expect=beyond)


def versions() -> Iterator[Row]:
    expect = status(426, header=VERSION_13)
    name = "Sec-WebSocket-Version"
    yield other("H31", "no version", name, expect=expect)
    for value in ("8", "0", "7", "14", "13, 8", "8, 13", "013", "0xd", "1.3e1", "13;", "+13", ""):
        yield other("H31", f"version {value!r}", name, f"{name}: {value}", expect=expect)
    yield other("H31", "version 13 twice", name, f"{name}: 13", f"{name}: 13", expect=expect)
    yield other("H31", "versions 13 and 8", name, f"{name}: 13", f"{name}: 8", expect=expect)
    yield other("H31", "white space around", name, f"{name}: \t 13 \t", expect=accepted)


def keys() -> Iterator[Row]:
    name = "Sec-WebSocket-Key"
    yield other("H29", "no key", name)
    yield other("H29", "the key twice", name, *[f"{name}: {KEY}"] * 2)
    for title, value in {
        "empty": "",
        "5 bytes": "c2hvcnQ=",
        "18 bytes": "QUFB" * 6,
        "15 bytes": "QUFB" * 5,
        "no base64": "??????????????????????==",
        "without padding": KEY[:-2],
        "with one padding": KEY[:-1],
        "with three paddings": KEY + "=",
        "padding in the middle": "dGhlIHNhbXBs==Sub25jZQ==",
        "base64url": "_-hlIHNhbXBsZSBub25jZQ==",
        "with a space inside": "dGhlIHNhbXBsZ SBub25jZQ==",
        "quoted": f'"{KEY}"',
        "a list": f"{KEY}, {KEY}",
        "beyond ASCII": KEY[:-3] + "é==",
    }.items():
        yield other("H29", f"key: {title}", name, f"{name}: {value}")
    yield other("H29", "white space around", name, f"{name}: \t{KEY} ", expect=accepted)
    # Bits that padding leaves over: RFC 4648 3.5 lets a decoder take or refuse them.
    trailing = f"{name}: {KEY[:-3]}R=="
    yield other("H29", "loose bits", name, trailing, expect=any_of(accepted, status(400)))


def extensions() -> Iterator[Row]:
    name = "Sec-WebSocket-Extensions"
    for title, value in {
        "a quoted string without an end": 'x; a="' + r"\c" * 3000,
        "an escape at the end": 'x; a="\\',
        "a quote in the middle": 'x; a=b"c"',
        "a quoted string that is no token": 'x; a="b \\" , ; c"',
        "nothing in quotes": 'x; a=""',
        "no name": "; a",
        "a parameter without a name": "x; =a",
        "two equals signs": "x; a==b",
        "no value": "x; a=",
        "no parameter": "x; ",
        "no comma": "x y",
        "a slash": "x/y",
    }.items():
        yield more("H42", title, f"{name}: {value}")
    yield more("H42", "empty elements", f"{name}: , ,x,, y ,", expect=accepted)
    yield more("H42", "quoted strings", f'{name}: x; a="b\\c"', expect=accepted)
    declined = response_without("permessage-deflate")
    offers = {
        "H44": {
            "a parameter twice": "client_max_window_bits; client_max_window_bits",
            "a parameter in two ways": "server_max_window_bits=9; server_max_window_bits=10",
            "unknown parameter": "client_max_window_bits; x",
            "a value where none belongs": "server_no_context_takeover=1",
            "another value where none belongs": "client_no_context_takeover=true",
        },
        "H45": {
            "server_max_window_bits without a value": "server_max_window_bits",
            **{
                f"{bits} bits": f"server_max_window_bits={bits}"
                for bits in ("7", "16", "0", "-9", "08", "1e1", "abc", "99999999999999999999")
            },
            "client's 16 bits": "client_max_window_bits=16",
            "client's 08 bits": "client_max_window_bits=08",
            "client's 7 bits": "client_max_window_bits=7",
        },
    }
    for id, cases in offers.items():
        for title, parameters in cases.items():
            yield more(id, title, f"{DEFLATE}; {parameters}", expect=declined)
    yield more(
        "H45",
        "a bad offer before a good one",
        f"{DEFLATE}; server_max_window_bits=7, permessage-deflate",
        expect=response_with(name, "permessage-deflate"),
    )
    yield more("H46", "a window of 2**8", f"{DEFLATE}; server_max_window_bits=8", expect=accepted)


def origins() -> Iterator[Row]:
    for title, lines in {
        "another site": ["Origin: https://evil.example"],
        "null": ["Origin: null"],
        "empty": ["Origin:"],
        "a name that begins like ours": ["Origin: http://localhost.evil.example"],
        "our name as a user": ["Origin: http://localhost:80@evil.example"],
        "ours and another": ["Origin: http://localhost", "Origin: http://evil.example"],
        "ours twice": ["Origin: http://localhost", "Origin: http://localhost"],
        "two in one": ["Origin: http://localhost http://evil.example"],
        "no scheme": ["Origin: localhost"],
        "another scheme": ["Origin: ftp://localhost"],
        "with a path": ["Origin: http://localhost/"],
        "with a query": ["Origin: http://localhost?evil.example"],
        "a backslash": ["Origin: http://localhost\\.evil.example"],
        "a dot at the end": ["Origin: http://evil.example."],
        "beyond ASCII": ["Origin: http://löcalhost"],
        "a port that is none": ["Origin: http://localhost:99999"],
    }.items():
        row = more("H48", f"Origin: {title}", *lines, expect=status(403))
        yield Row(row.id, row.title, row.expect, row.send, needs=frozenset({"origins"}))
    for title, origin in {
        "the same": "http://localhost",
        "the same with its port": "http://localhost:80",
        "in capitals": "HTTP://LOCALHOST",
        "a development server's": "http://127.0.0.1:5173",
    }.items():
        row = Row(
            "H48",
            f"Origin: {title}",
            accepted,
            lambda wire, origin=origin: wire.request("", f"Origin: {origin}"),
            needs=frozenset({"origins"}),
        )
        yield row


def bodies() -> Iterator[Row]:
    for title, lines in {
        "Content-Length: 5": ["Content-Length: 5"],
        "Content-Length: 00": ["Content-Length: 00"],
        "Content-Length: +0": ["Content-Length: +0"],
        "Content-Length: -1": ["Content-Length: -1"],
        "Content-Length: 0x0": ["Content-Length: 0x0"],
        "Content-Length with a list": ["Content-Length: 0, 0"],
        "an empty Content-Length": ["Content-Length:"],
        "Content-Length: 0 and 5": ["Content-Length: 0", "Content-Length: 5"],
        "Content-Length: 0 twice": ["Content-Length: 0", "Content-Length: 0"],
        "a Content-Length beyond 2**64": ["Content-Length: 18446744073709551616"],
        "Transfer-Encoding: chunked": ["Transfer-Encoding: chunked"],
        "chunked in odd case": ["tRANSFER-eNCODING: ChUnKeD"],
        "Transfer-Encoding: identity": ["Transfer-Encoding: identity"],
        "Transfer-Encoding: gzip": ["Transfer-Encoding: gzip"],
        "an empty Transfer-Encoding": ["Transfer-Encoding:"],
        "both": ["Content-Length: 0", "Transfer-Encoding: chunked"],
    }.items():
        yield more("H33", title, *lines)
    yield more("H33", "Content-Length: 0, which is no body", "Content-Length: 0", expect=accepted)
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    yield Row(
        "H33",
        "chunks that hide a request",
        status(400),
        lambda wire: wire.request("", "Transfer-Encoding: chunked") + chunks + wire.request(),
    )


HANDSHAKE = [
    Row(
        "H01",
        "nothing",
        expired,
        silence,
        cuts=False,
        lasts="open_timeout",
        needs=frozenset({"open_timeout"}),
        memory=lambda wire: 2**10,
    ),
    *(
        Row(
            "H01",
            f"{title} and nothing more",
            expired,
            begun,
            cuts=False,
            lasts="open_timeout",
            needs=frozenset({"open_timeout"}),
        )
        for title, begun in BEGUN.items()
    ),
    Row(
        "H02",
        "a header line, slowly, without an end",
        expired,
        play=drip,
        lasts="open_timeout",
        needs=frozenset({"open_timeout"}),
    ),
    line("H03", "a request line over 8 KiB", f"GET /{'a' * 9000} HTTP/1.1", status(414)),
    Row("H03", "a request line without an end", status(414), b"GET /" + b"a" * 9000),
    line("H03", "a method over 8 KiB", "G" * 9000, status(414)),
    more("H04", "a header line over 8 KiB", f"X-A: {'a' * 9000}", expect=status(431)),
    more("H04", "a field's name over 8 KiB", f"{'X' * 9000}: a", expect=status(431)),
    Row(
        "H04",
        "a header line without an end",
        status(431),
        lambda wire: wire.request()[:-2] + b"X-A: " + b"a" * 9000,
    ),
    more("H04", "a header line of 8 KiB", f"X-A: {'a' * 8187}", expect=accepted),
    more("H05", "101 fields", *(f"X-{n}: a" for n in range(96)), expect=status(431)),
    more("H05", "10,000 fields", *("X: a" for _ in range(10_000)), expect=status(431)),
    more("H05", "100 fields", *(f"X-{n}: a" for n in range(95)), expect=accepted),
    more(
        "H06",
        "a head over 64 KiB",
        *(f"X-{n}: {'a' * 8000}" for n in range(128)),
        expect=status(431),
    ),
    Row(
        "H07",
        "20 MB of one header line in small pieces",
        status(431),
        play=endless_head,
        memory=lambda wire: 2 * 65536,
    ),
    Row(
        "H08",
        "lines that end in LF",
        status(400),
        lambda wire: wire.request().replace(b"\r\n", b"\n"),
    ),
    Row(
        "H08",
        "a request line that ends in LF",
        status(400),
        lambda wire: wire.request().replace(b"\r\n", b"\n", 1),
    ),
    Row("H08", "a head that ends in LF", status(400), lambda wire: wire.request()[:-2] + b"\n"),
    Row(
        "H08",
        "lines that end in CR CR LF",
        status(400),
        lambda wire: wire.request().replace(b"\r\n", b"\r\r\n"),
    ),
    Row(
        "H08",
        "an empty line before the request",
        any_of(status(400), accepted),
        lambda wire: b"\r\n" + wire.request(),
    ),
    more("H09", "a folded line", "X-A: one\r\n two"),
    more("H09", "a line folded with a tab", "X-A: one\r\n\ttwo"),
    Row(
        "H09",
        "a folded line first",
        status(400),
        lambda wire: wire.request().replace(b"\r\nHost", b"\r\n X: a\r\nHost"),
    ),
    more("H09", "a folded empty line", "X-A: one\r\n "),
    more("H10", "a space before the colon", "X-A : one"),
    more("H10", "a tab before the colon", "X-A\t: one"),
    more("H10", "a space before the name", " X-A: one"),
    more("H10", "no name", ": one"),
    more("H10", "no colon", "X-A"),
    more("H10", "a space in the name", "X A: one"),
    more("H10", "a name that is no token", "X(A): one"),
    more("H10", "a name beyond ASCII", "Xé: one"),
    more("H10", "a control character in the name", "X\x0bA: one"),
    more("H10", "Transfer-Encoding with a space before the colon", "Transfer-Encoding : chunked"),
    more("H11", "NUL in a value", "X-A: o\0ne"),
    more("H11", "NUL in a name", "X\0A: one"),
    more("H11", "CR in a value", "X-A: o\rne"),
    more("H11", "LF in a value", "X-A: o\nX-B: ne"),
    more("H11", "a control character in a value", "X-A: \x01"),
    more("H11", "an escape sequence in a value", "X-A: \x1b[31m"),
    more("H11", "DEL in a value", "X-A: \x7f"),
    more("H11", "a form feed around a value", "X-A: \x0cone"),
    more("H11", "bytes over 127 in a value", "X-A: é\xa0", expect=accepted),
    more("H11", "an empty value", "X-A:", expect=accepted),
    line("H13", "two spaces before the target", "GET  / HTTP/1.1"),
    line("H13", "two spaces after the target", "GET /  HTTP/1.1"),
    line("H13", "a tab before the target", "GET\t/ HTTP/1.1"),
    line("H13", "a tab after the target", "GET /\tHTTP/1.1"),
    line("H13", "a space at the end", "GET / HTTP/1.1 "),
    line("H13", "a space at the beginning", " GET / HTTP/1.1"),
    line("H13", "a space in the target", "GET /a b HTTP/1.1"),
    line("H13", "NUL at the end", "GET / HTTP/1.1\0"),
    line("H13", "NUL in the target", "GET /\0 HTTP/1.1"),
    line("H13", "a vertical tab for a space", "GET\x0b/ HTTP/1.1"),
    line("H13", "no version", "GET /"),
    line("H13", "no method", "/ HTTP/1.1"),
    line("H13", "a method that is no token", "G(T / HTTP/1.1"),
    line("H13", "one word", "hello"),
    *(
        line("H13", f"the version {version}", f"GET / {version}")
        for version in (
            "http/1.1",
            "HTTP/11",
            "HTTP/1.10",
            "HTTP/01.1",
            "HTTP/x.y",
            "HTTPS/1.1",
            "HTTP/1",
            "HTTP/1.",
            "HTTP/.1",
            "HTTP /1.1",
            "HTTP/1.1,HTTP/1.1",
        )
    ),
    line("H14", "a target beyond ASCII", "GET /é HTTP/1.1"),
    line("H14", "a target with DEL", "GET /\x7f HTTP/1.1"),
    line("H14", "a fragment in the target", "GET /#x HTTP/1.1"),
    line("H14", "a target that is no path", "GET nowhere HTTP/1.1"),
    line("H14", "an asterisk", "GET * HTTP/1.1"),
    line("H16", "the whole URI, of another host", "GET http://elsewhere/ HTTP/1.1"),
    Row(
        "H16",
        "the whole URI, with a user",
        status(400),
        lambda wire: wire.request(f"GET http://user@{wire.host}/ HTTP/1.1"),
    ),
    line("H16", "the whole URI, without a host", "GET http:/// HTTP/1.1"),
    line("H16", "the URI of something else", "GET file:///etc/passwd HTTP/1.1"),
    Row(
        "H16",
        "the whole URI",
        accepted,
        lambda wire: wire.request(f"GET http://{wire.host}{wire.path} HTTP/1.1"),
    ),
    *hosts(),
    *(
        Row(
            "H19",
            f"the Host {host}",
            status(421),
            lambda wire, host=host: wire.request(Host=f"Host: {host}"),
            needs=frozenset({"allowed_hosts"}),
        )
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0x7f.1")
    ),
    *(
        line("H20", version, f"GET / {version}", status(505))
        for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9")
    ),
    Row(
        "H22",
        "a TLS handshake on a port without TLS",
        refused,
        CLIENT_HELLO,
        raw=True,
        needs=frozenset({"plain"}),
    ),
    Row(
        "H22",
        "HTTP/2 without an upgrade",
        any_of(hang_up, status(400, 505)),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ),
    Row("H22", "an SSH client", refused, b"SSH-2.0-OpenSSH_9.6\r\n"),
    Row("H22", "zeros", refused, bytes(300)),
    Row(
        "H23",
        "plain HTTP on a port with TLS",
        any_of(hang_up, status(400)),
        lambda wire: wire.request(),
        raw=True,
        needs=frozenset({"tls"}),
    ),
    *(
        line("H24", method, f"{method} / HTTP/1.1", status(405, header=("Allow", "GET")))
        for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PRI", "M-SEARCH")
    ),
    line("H24", "CONNECT", "CONNECT localhost:80 HTTP/1.1", status(405, header=("Allow", "GET"))),
    line("H24", "OPTIONS *", "OPTIONS * HTTP/1.1", status(405, header=("Allow", "GET"))),
    line("H25", "get", "get / HTTP/1.1", status(405)),
    line("H25", "Get", "Get / HTTP/1.1", status(405)),
    other("H26", "no Upgrade", "Upgrade", expect=status(426, header=UPGRADE)),
    other("H26", "Upgrade: h2c", "Upgrade", "Upgrade: h2c", expect=status(426, header=UPGRADE)),
    other("H26", "Upgrade: websockets", "Upgrade", "Upgrade: websockets", expect=status(426)),
    other("H26", "Upgrade: websocket/13", "Upgrade", "Upgrade: websocket/13", expect=status(426)),
    other("H26", "Upgrade: websocket, h2c", "Upgrade", "Upgrade: websocket, h2c", expect=accepted),
    other("H26", "Upgrade twice", "Upgrade", "Upgrade: h2c", "upgrade: WebSocket", expect=accepted),
    other("H28", "no Connection", "Connection", expect=status(426)),
    other(
        "H28", "Connection: keep-alive", "Connection", "Connection: keep-alive", expect=status(426)
    ),
    other("H28", "Connection: upgraded", "Connection", "Connection: upgraded", expect=status(426)),
    other(
        "H28",
        "Connection: keep-alive, Upgrade",
        "Connection",
        "Connection: keep-alive, Upgrade",
        expect=accepted,
    ),
    other(
        "H28",
        "Connection twice",
        "Connection",
        "Connection: keep-alive",
        "Connection: UPGRADE",
        expect=accepted,
    ),
    other("H28", "empty elements", "Connection", "Connection: , ,upgrade,", expect=accepted),
    *keys(),
    *versions(),
    Row(
        "H32",
        "a bad version, and a request that a proxy takes for tunnelled",
        status(426, header=VERSION_13),
        lambda wire: (
            wire.request(Sec_WebSocket_Version="Sec-WebSocket-Version: 777")
            + head("GET /internal HTTP/1.1", "Host: localhost")
        ),
    ),
    *bodies(),
    more("H35", "Expect: 100-continue", "Expect: 100-continue", expect=accepted),
    Row(
        "H36",
        "a message in the request's segment",
        echo(b"glued"),
        lambda wire: wire.request() + wire.frame(TEXT, b"glued"),
        needs=frozenset({"echo"}),
    ),
    Row(
        "H37",
        "another request after one that was refused",
        status(426),
        lambda wire: wire.request(Upgrade=None) + wire.request(),
    ),
    Row(
        "H37",
        "another request after a malformed one",
        status(400),
        lambda wire: b"nonsense\r\n\r\n" + wire.request(),
    ),
    Row(
        "H37",
        "another request after one that was answered",
        status(200),
        head("GET /health HTTP/1.1", "Host: localhost") * 3,
        needs=frozenset({"health"}),
    ),
    Row(
        "H37",
        "a request in the body of a refused one",
        status(405),
        lambda wire: wire.request("POST / HTTP/1.1", "Content-Length: 300") + wire.request(),
    ),
    Row(
        "H37",
        "requests for ever after a refusal",
        cut_off(status(426)),
        play=another_request_after_the_refusal,
        lasts="close_timeout",
        memory=lambda wire: 0,
        needs=frozenset({"close_timeout"}),
    ),
    Row(
        "H38",
        "FIN right after the request",
        Expectation("101 or 400, or hangs up, and the end", lambda got: got.is_over),
        play=finish_at_once,
        lasts="close_timeout",
        needs=frozenset({"close_timeout"}),
    ),
    more(
        "H40", "8,000 spaces in a list of extensions", f"Sec-WebSocket-Extensions: b{' ' * 8000}x"
    ),
    more(
        "H40", "8,000 spaces in a list of subprotocols", f"Sec-WebSocket-Protocol: b{' ' * 8000}x"
    ),
    *(
        more("H43", title, f"Sec-WebSocket-Protocol: {value}")
        for title, value in {
            "a subprotocol that is no token": "a/b",
            "a subprotocol with a space": "a b",
            "a quoted subprotocol": '"a"',
        }.items()
    ),
    Row(
        "H41",
        "the application picks a subprotocol that was not offered",
        status(500),
        lambda wire: wire.request("", "Sec-WebSocket-Protocol: chat"),
        needs=frozenset({"wrong_subprotocol"}),
    ),
    *extensions(),
    *origins(),
    *(
        Row(
            "H49",
            title,
            status(401, header=("WWW-Authenticate", "Basic")),
            lambda wire, lines=lines: wire.request("", *lines),
            needs=frozenset({"basic_auth"}),
        )
        for title, lines in {
            "no credentials": [],
            "wrong credentials": ["Authorization: Basic dXNlcjp3cm9uZw=="],
            "another scheme": ["Authorization: Bearer dXNlcjpwYXNzd29yZA=="],
            "no base64": ["Authorization: Basic ???"],
            "no colon in them": ["Authorization: Basic dXNlcg=="],
            "bytes that are no UTF-8": ["Authorization: Basic /////w=="],
            "the right ones twice": ["Authorization: Basic dXNlcjpwYXNzd29yZA=="] * 2,
        }.items()
    ),
    Row(
        "H49",
        "the right credentials",
        accepted,
        lambda wire: wire.request("", "Authorization: Basic dXNlcjpwYXNzd29yZA=="),
        needs=frozenset({"basic_auth"}),
    ),
    more(
        "H52",
        "X-Forwarded-For, invented",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Host: evil.example",
        "Forwarded: for=127.0.0.1",
        expect=accepted,
    ),
    *(
        Row(
            "H52",
            title,
            hang_up,
            lambda wire, data=data: data + wire.request(),
            needs=frozenset({"proxy_protocol"}),
        )
        for title, data in {
            "no PROXY header": b"",
            "a PROXY header cut short": b"PROXY TCP4 1.2.3.4\r\n",
            "a PROXY header without an end": b"PROXY TCP4 " + b"1" * 200,
            "an unknown family": b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            "an address that is none": b"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
            "a port that is none": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            "version 3 of the binary header": b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c" + bytes(12),
            "a binary header too short": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04" + bytes(4),
        }.items()
    ),
    *(
        Row(
            "H52",
            title,
            accepted,
            lambda wire, data=data: data + wire.request(),
            needs=frozenset({"proxy_protocol"}),
        )
        for title, data in {
            "a PROXY header": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65535\r\n",
            "a PROXY header that knows nothing": b"PROXY UNKNOWN\r\n",
            "a binary PROXY header": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
        }.items()
    ),
    Row(
        "H53",
        "the application never decides",
        status(503),
        lambda wire: wire.request(),
        lasts="open_timeout",
        needs=frozenset({"open_timeout", "undecided"}),
        cuts=False,
    ),
    Row(
        "H55",
        "RST in the middle of the head",
        Expectation("nothing", lambda got: True),
        play=reset_midway,
    ),
    Row(
        "X01",
        "names in any case",
        accepted,
        lambda wire: wire.request().replace(b"Upgrade: websocket", b"uPGRADE: WebSocket"),
    ),
    Row(
        "X01",
        "no white space after the colons",
        accepted,
        lambda wire: wire.request().replace(b": ", b":"),
    ),
    Row("X06", "a request", agreed, lambda wire: wire.request()),
    more(
        "X06",
        "subprotocols and extensions that nobody has",
        "Sec-WebSocket-Protocol: x-one.invalid, x-two.invalid",
        "Sec-WebSocket-Extensions: x-three.invalid; a=1, x-four.invalid",
        expect=agreed,
    ),
]
