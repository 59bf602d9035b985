"""The head of an HTTP/1.1 message: strict, bounded, and the same however it is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.exceptions import InvalidMessage
from wsproto_async.handshake.headers import Headers
from wsproto_async.handshake.http11 import (
    MAX_FIELDS,
    MAX_HEAD_SIZE,
    MAX_LINE_SIZE,
    HeadReader,
    Request,
    Response,
    parse_request_line,
    parse_status_line,
)

WHOLE = 2**30
GET = b"GET / HTTP/1.1\r\n"
HEAD = GET + b"Host: a.example\r\n\r\n"

every_split = pytest.mark.parametrize("size", [1, 7, WHOLE], ids=["bytes", "sevens", "whole"])
with_tails = pytest.mark.parametrize("tail", [b"", b"\x81\x00\r\n\r\n"], ids=["", "tail"])

# What reading gives: start line, header fields, what follows; or a status and a text.
Outcome = tuple[tuple[str, str], list[tuple[str, str]], bytes] | tuple[int, str] | None


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def cut_at(data: bytes, seams: list[int]) -> list[bytes]:
    edges = [0, *sorted(seam % (len(data) + 1) for seam in seams), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def read(chunks: list[bytes]) -> Outcome:
    """Feed all chunks, reading after each, and tell what came out; None if more is needed."""
    reader = HeadReader(parse_request_line)
    for index, chunk in enumerate(chunks):
        reader.feed(chunk)
        try:
            found = reader.read()
        except InvalidMessage as exc:
            return exc.status, str(exc)
        if found is not None:
            start, headers = found
            return start, headers.pairs(), reader.rest() + b"".join(chunks[index + 1 :])
    return None


# Request and response as they are written


def test_a_request_is_serialized_as_it_is() -> None:
    request = Request("/chat?room=1", Headers([("Host", "h"), ("X-Old", "caf\xe9")]))
    assert request.method == "GET"
    assert request.serialize() == b"GET /chat?room=1 HTTP/1.1\r\nHost: h\r\nX-Old: caf\xe9\r\n\r\n"
    assert repr(request) == "<Request GET /chat?...>"
    assert repr(Request("/", Headers(), method="HEAD")) == "<Request HEAD />"


@pytest.mark.parametrize(
    ("response", "wire"),
    [
        (Response(200), b"HTTP/1.1 200 OK\r\n\r\n"),
        (Response(101), b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        (Response(200, "Fine"), b"HTTP/1.1 200 Fine\r\n\r\n"),
        (Response(404, ""), b"HTTP/1.1 404 \r\n\r\n"),
        (Response(599), b"HTTP/1.1 599 \r\n\r\n"),
        (Response(200, "caf\xe9"), b"HTTP/1.1 200 caf\xe9\r\n\r\n"),
        (Response(302, headers={"Location": "/"}), b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"),
        (Response(200, body=b"\x00\xff"), b"HTTP/1.1 200 OK\r\n\r\n\x00\xff"),
        (
            Response(200, body="é"),
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xa9",
        ),
        (
            Response(200, headers=[("content-type", "text/html")], body="<p>"),
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<p>",
        ),
    ],
    ids=repr,
)
def test_a_response_is_serialized_as_it_is(response: Response, wire: bytes) -> None:
    assert response.serialize() == wire
    assert response.serialize(with_body=False) == wire[: wire.index(b"\r\n\r\n") + 4]


def test_repr_of_a_response() -> None:
    assert repr(Response(403)) == "<Response 403 Forbidden>"


@pytest.mark.parametrize("status", [0, 100, 102, 199, 600, 1000, -200])
def test_a_status_that_is_not_final_is_misuse(status: int) -> None:
    with pytest.raises(ValueError, match=f"^status {status} is not that of a final response$"):
        Response(status)


@pytest.mark.parametrize("reason", ["a\r\nSet-Cookie: x=y", "a\nb", "a\0", "a\x7f", "€"], ids=ascii)
def test_a_reason_that_http_cannot_carry_is_misuse(reason: str) -> None:
    with pytest.raises(ValueError):
        Response(200, reason)


def test_a_header_that_http_cannot_carry_is_misuse() -> None:
    with pytest.raises(ValueError, match="Location"):
        Response(302, headers=[("Location", "/\r\nSet-Cookie: x=y")])


# Start lines


@pytest.mark.parametrize(
    ("line", "start"),
    [
        (b"GET / HTTP/1.1", ("GET", "/")),
        (b"HEAD /x HTTP/1.1", ("HEAD", "/x")),
        (b"GET /a?b=c&d HTTP/1.2", ("GET", "/a?b=c&d")),
        (b"GET http://h/ HTTP/1.1", ("GET", "http://h/")),
        (b'GET /{|}"<>^`\\ HTTP/1.1', ("GET", '/{|}"<>^`\\')),
        (b"GET * HTTP/1.9", ("GET", "*")),
    ],
)
def test_a_request_line(line: bytes, start: tuple[str, str]) -> None:
    assert parse_request_line(line) == start


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"", 400),
        (b"GET", 400),
        (b"GET /", 400),
        (b"GET / ", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /  HTTP/1.1", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET / HTTP/1.1\r", 400),
        (b"GET / a HTTP/1.1", 400),
        (b"GET /\x00 HTTP/1.1", 400),
        (b"GET /\x7f HTTP/1.1", 400),
        (b"GET /\xe9 HTTP/1.1", 400),
        (b"GET /#top HTTP/1.1", 400),
        (b"G(T / HTTP/1.1", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1", 400),
        (b"GET / HTTP/11.1", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET / HTTP/1.1x", 400),
        (b"GET / HTTP/1.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/2.0", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"POST / HTTP/1.0", 505),
        (b"get / HTTP/1.1", 405),
        (b"POST / HTTP/1.1", 405),
        (b"OPTIONS * HTTP/1.1", 405),
        (b"CONNECT h:80 HTTP/1.1", 405),
        (b"TRACE / HTTP/1.1", 405),
        (b"GETGET / HTTP/1.1", 405),
    ],
)
def test_a_wrong_request_line(line: bytes, status: int) -> None:
    with pytest.raises(InvalidMessage) as caught:
        parse_request_line(line)
    assert caught.value.status == status
    assert caught.value.headers == ([("Allow", "GET, HEAD")] if status == 405 else ())


@pytest.mark.parametrize(
    ("line", "start"),
    [
        (b"HTTP/1.1 101 Switching Protocols", (101, "Switching Protocols")),
        (b"HTTP/1.1 200 ", (200, "")),
        (b"HTTP/1.0 599 caf\xe9\t!", (599, "caf\xe9\t!")),
        (b"HTTP/1.2 101 x", (101, "x")),
        (b"HTTP/1.1 100  two", (100, " two")),
    ],
)
def test_a_status_line(line: bytes, start: tuple[int, str]) -> None:
    assert parse_status_line(line) == start


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"HTTP/1.1 101",
        b"HTTP/1.1  101 x",
        b"HTTP/1.1 1 x",
        b"HTTP/1.1 1010 x",
        b"HTTP/1.1 099 x",
        b"HTTP/1.1 600 x",
        b"HTTP/2.0 101 x",
        b"HTTP/2 101 x",
        b"http/1.1 101 x",
        b"HTTP/1.1 1x1 x",
        b"HTTP/1.1 101 a\rb",
        b"HTTP/1.1 101 a\0",
        b"SSH-2.0-OpenSSH_9.2",
        b"ICY 200 OK",
    ],
)
def test_a_wrong_status_line(line: bytes) -> None:
    with pytest.raises(InvalidMessage, match=r"^malformed status line$"):
        parse_status_line(line)


def test_http_1_0_cannot_upgrade() -> None:
    with pytest.raises(InvalidMessage, match=r"^server upgrades in HTTP/1\.0$"):
        parse_status_line(b"HTTP/1.0 101 Switching Protocols")


# Heads


@pytest.mark.parametrize(
    ("fields", "pairs"),
    [
        (b"", []),
        (b"Host: h\r\n", [("Host", "h")]),
        (b"Host:h\r\n", [("Host", "h")]),
        (b"A: 1\r\nB: 2\r\nA: 3\r\n", [("A", "1"), ("B", "2"), ("A", "3")]),
        (b"Empty:\r\nBlank: \t \r\n", [("Empty", ""), ("Blank", "")]),
        (b"Spaced: \t a  b\t \r\n", [("Spaced", "a  b")]),
        (b"Colons: a:b::c\r\n", [("Colons", "a:b::c")]),
        (b"Latin: caf\xe9\r\n", [("Latin", "caf\xe9")]),
        (b"!#$%&'*+-.^_`|~09azAZ: x\r\n", [("!#$%&'*+-.^_`|~09azAZ", "x")]),
    ],
)
@with_tails
@every_split
def test_a_head(fields: bytes, pairs: list[tuple[str, str]], tail: bytes, size: int) -> None:
    head = GET + fields + b"\r\n"
    assert read(cut(head + tail, size)) == (("GET", "/"), pairs, tail)
    assert read(cut(head[:-1], size)) is None


# What breaks a rule, and the first byte at which that is certain.
BAD_HEADS = [
    ("TLS ClientHello", b"\x16", 400, "not an HTTP message"),
    ("an empty line first", b"\r", 400, "not an HTTP message"),
    ("a frame", b"\x81", 400, "not an HTTP message"),
    ("bare LF after the start line", b"GET / HTTP/1.1\n", 400, "line does not end in CRLF"),
    ("bare LF after a field", GET + b"Host: h\n", 400, "line does not end in CRLF"),
    ("bare LF at the end", GET + b"\n", 400, "line does not end in CRLF"),
    ("malformed request line", b"GET /\r\n", 400, "malformed request line"),
    ("HTTP/1.0", b"GET / HTTP/1.0\r\n", 505, "HTTP/1.1 is required"),
    ("POST", b"POST / HTTP/1.1\r\n", 405, "method POST is not supported"),
    ("a folded line", GET + b"A: 1\r\n 2\r\n", 400, "malformed header line"),
    ("a line folded with a tab", GET + b"A: 1\r\n\t2\r\n", 400, "malformed header line"),
    ("a folded first line", GET + b" A: 1\r\n", 400, "malformed header line"),
    ("white space before the colon", GET + b"Host : h\r\n", 400, "malformed header line"),
    ("a tab before the colon", GET + b"Host\t: h\r\n", 400, "malformed header line"),
    ("no name", GET + b": h\r\n", 400, "malformed header line"),
    ("no colon", GET + b"Host\r\n", 400, "malformed header line"),
    ("a name that is no token", GET + b"Ho(st: h\r\n", 400, "malformed header line"),
    ("a name that is not ASCII", GET + b"H\xf6st: h\r\n", 400, "malformed header line"),
    ("NUL", GET + b"A: b\0c\r\n", 400, "value of header A holds a control character"),
    ("CR", GET + b"A: b\rc\r\n", 400, "value of header A holds a control character"),
    ("two CRs", GET + b"A: b\r\r\n", 400, "value of header A holds a control character"),
    ("DEL", GET + b"A: b\x7fc\r\n", 400, "value of header A holds a control character"),
    ("ESC", GET + b"A: \x1b[2J\r\n", 400, "value of header A holds a control character"),
]


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [case[1:] for case in BAD_HEADS],
    ids=[case[0] for case in BAD_HEADS],
)
@pytest.mark.parametrize("tail", [b"", b"Host: h\r\n\r\n"], ids=["", "tail"])
@every_split
def test_a_bad_head_is_refused_at_the_byte_that_proves_it(
    data: bytes, status: int, text: str, tail: bytes, size: int
) -> None:
    assert read(cut(data[:-1], size)) is None
    assert read(cut(data + tail, size)) == (status, text)


# Limits


def request_line(size: int) -> bytes:
    return b"GET /".ljust(size - 9, b"x") + b" HTTP/1.1"


def field(size: int) -> bytes:
    return b"A: ".ljust(size, b"x")


def head_of(size: int) -> bytes:
    """A head whose last byte before the last CRLF is byte ``size``, in lines of legal size."""
    head = bytearray(GET)
    while size - len(head) > MAX_LINE_SIZE:
        head += field(4096) + b"\r\n"
    return bytes(head + field(size - len(head)) + b"\r\n")


LIMITS = [
    # (what, the limit reached, the bytes that exceed it, status, text)
    (
        "start line",
        request_line(MAX_LINE_SIZE) + b"\r\n",
        request_line(MAX_LINE_SIZE + 1),
        414,
        "start line over 8192 bytes",
    ),
    (
        "header line",
        GET + field(MAX_LINE_SIZE) + b"\r\n",
        GET + field(MAX_LINE_SIZE + 1),
        431,
        "header line over 8192 bytes",
    ),
    (
        "second header line",
        GET + b"B: c\r\n" + field(MAX_LINE_SIZE) + b"\r\n",
        GET + b"B: c\r\n" + field(MAX_LINE_SIZE + 1),
        431,
        "header line over 8192 bytes",
    ),
    (
        "headers",
        GET + b"A: b\r\n" * MAX_FIELDS,
        GET + b"A: b\r\n" * (MAX_FIELDS + 1),
        431,
        "more than 100 headers",
    ),
    (
        "head",
        head_of(MAX_HEAD_SIZE - 2),
        head_of(MAX_HEAD_SIZE + 1)[:-2],
        431,
        "head over 65536 bytes",
    ),
]


@pytest.mark.parametrize(
    ("reached", "exceeded", "status", "text"),
    [case[1:] for case in LIMITS],
    ids=[case[0] for case in LIMITS],
)
@every_split
def test_limits_are_exact(
    reached: bytes, exceeded: bytes, status: int, text: str, size: int
) -> None:
    assert read(cut(reached, size)) is None
    complete = read(cut(reached + b"\r\ntail", size))
    assert complete is not None
    assert complete[-1] == b"tail"
    assert read(cut(exceeded[:-1], size)) is None
    assert read(cut(exceeded, size)) == (status, text)
    assert read(cut(exceeded + b"\r\n\r\n", size)) == (status, text)


@pytest.mark.parametrize("size", [MAX_HEAD_SIZE - 1, MAX_HEAD_SIZE])
def test_the_line_ends_count_in_the_head(size: int) -> None:
    assert read([head_of(size)[:-1]]) is None
    assert read([head_of(size)]) == (431, "head over 65536 bytes")


def test_a_line_end_may_be_cut_at_the_limit() -> None:
    """Whether CR belongs to the line is known with the byte after it."""
    line = request_line(MAX_LINE_SIZE)
    assert read([line, b"\r"]) is None
    assert read([line, b"\r", b"\n"]) is None
    assert read([line, b"\r", b"x"]) == (414, "start line over 8192 bytes")
    assert read([line, b"\r", b"\r"]) == (414, "start line over 8192 bytes")


@pytest.mark.parametrize("data", [b"G" * 2**20, GET + b"A" * 2**20, GET + b"A: b\r\n" * 2**17])
def test_an_endless_head_is_cut_off_whatever_it_holds(data: bytes) -> None:
    for size in (1, 1000, WHOLE):
        outcome = read(cut(data, size))
        assert outcome is not None
        assert outcome[0] in (414, 431)


# Reading goes on where it stopped


def test_a_new_reader_needs_more() -> None:
    reader = HeadReader(parse_request_line)
    assert (reader.read(), reader.start, reader.buffered, reader.rest()) == (None, None, 0, b"")


def test_the_start_line_is_known_before_the_head_is_complete() -> None:
    reader = HeadReader(parse_request_line)
    reader.feed(GET[:-1])
    assert (reader.read(), reader.start) == (None, None)
    reader.feed(GET[-1:] + b"Ho")
    assert (reader.read(), reader.start) == (None, ("GET", "/"))
    assert reader.buffered == len(GET) + 2


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_may_be_fed(kind: type) -> None:
    reader = HeadReader(parse_status_line)
    reader.feed(kind(b"HTTP/1.1 200 OK\r\n\r\nbody"))
    found = reader.read()
    assert found is not None
    assert (found[0], len(found[1]), reader.rest()) == ((200, "OK"), 0, b"body")


def test_what_the_start_line_raises_goes_through() -> None:
    reader = HeadReader(parse_status_line)
    reader.feed(b"Hello\r\n")
    with pytest.raises(InvalidMessage, match=r"^malformed status line$"):
        reader.read()


SEAMS = st.lists(st.integers(0, 2**16), max_size=8)
PARTS = st.sampled_from(
    [
        *(GET, b"GET / HTTP/1.0\r\n", b"get / HTTP/1.1\r\n", b"Host: h\r\n", b"A: b\r\n", b"\r\n"),
        *(b"\r", b"\n", b" ", b"\t", b":", b"\0", b"x", b"A" * 8190, b"A: " + b"b" * 8189),
    ]
)


@given(st.lists(PARTS | st.binary(max_size=3), max_size=20).map(b"".join), SEAMS)
def test_any_split_of_anything_gives_the_same(data: bytes, seams: list[int]) -> None:
    whole = read([GET + data])
    assert read(cut_at(GET + data, seams)) == whole
    if len(data) < 2000:
        assert read(cut(GET + data, 1)) == whole


@given(st.binary(max_size=40), SEAMS)
def test_any_bytes_are_read_or_refused(data: bytes, seams: list[int]) -> None:
    assert read(cut_at(data, seams)) == read([data])


NAMES = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=10)
VALUES = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20).map(
    lambda value: value.strip(" \t")
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=10), SEAMS)
def test_what_is_written_is_read(pairs: list[tuple[str, str]], seams: list[int]) -> None:
    wire = Request("/a?b", Headers(pairs)).serialize()
    assert read(cut_at(wire, seams)) == (("GET", "/a?b"), pairs, b"")
