"""The opening handshake, as a server may answer it: the client is the one to hold out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsproto_async.testing.conformance.wire import BINARY, DEFLATE, TEXT, Wire, deflate, head

__all__ = ["CLIENT_ROWS", "ClientRow"]

BIG = 100_000
WIRE = Wire(masked=False)


@dataclass(frozen=True)
class ClientRow:
    """``answer`` makes the response from the token that answers the client's key.

    The client ``raises`` an exception of that name, or else opens and receives ``message``.
    ``drips`` lets the answer come byte by byte for ever, ``ends`` ends the connection after it.
    """

    id: str
    title: str
    answer: Callable[[str], bytes]
    raises: str | None = None
    message: str | bytes = "hello"
    options: Mapping[str, Any] = field(default_factory=dict)
    drips: bool = False
    ends: bool = True


def switching(token: str, *lines: str) -> bytes:
    return head(
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {token}",
        *lines,
    )


HELLO = WIRE.frame(TEXT, b"hello")


def added(id: str, title: str, *lines: str, raises: str | None = None, **more: Any) -> ClientRow:
    """A right answer but for lines added, and then a message."""
    answer: Callable[[str], bytes] = lambda token: switching(token, *lines) + HELLO  # noqa: E731
    return ClientRow(id, title, answer, raises, **more)


def replaced(id: str, title: str, old: str, new: str, raises: str | None) -> ClientRow:
    """A right answer but for one piece of its text."""

    def answer(token: str) -> bytes:
        text = switching(token).decode()
        assert old in text
        return text.replace(old, new, 1).encode("latin-1") + HELLO

    return ClientRow(id, title, answer, raises)


def refusals() -> Iterator[ClientRow]:
    for number in (200, 204, 400, 403, 404, 426, 500, 503):
        yield ClientRow(
            "C01",
            f"status {number}",
            lambda token, number=number: (
                head(f"HTTP/1.1 {number} No", "Content-Length: 5") + b"sorry"
            ),
            "InvalidStatus",
        )
    for title, framing in {
        "without framing": [],
        "in chunks that are none": ["Transfer-Encoding: chunked"],
        "whose length is no number": ["Content-Length: x"],
        "beyond 2**64": ["Content-Length: 99999999999999999999"],
        "with two lengths": ["Content-Length: 1", "Content-Length: 2"],
    }.items():
        yield ClientRow(
            "C01",
            f"a body {title}",
            lambda token, framing=framing: head("HTTP/1.1 403 No", *framing) + b"zz\r\n" * 500_000,
            "InvalidStatus",
        )


CLIENT_ROWS = [
    added("C00", "an answer that is right"),
    *refusals(),
    replaced("C03", "no Sec-WebSocket-Accept", "Sec-WebSocket-Accept", "X-Accept", "InvalidHeader"),
    replaced(
        "C03",
        "the token of another key",
        "Sec-WebSocket-Accept: ",
        "Sec-WebSocket-Accept: x",
        "InvalidHeader",
    ),
    ClientRow(
        "C03", "the token in capitals", lambda token: switching(token.swapcase()), "InvalidHeader"
    ),
    ClientRow(
        "C03",
        "the token twice",
        lambda token: switching(token, f"Sec-WebSocket-Accept: {token}"),
        "InvalidHeader",
    ),
    ClientRow(
        "C03",
        "the token and another",
        lambda token: switching(token, "Sec-WebSocket-Accept: x"),
        "InvalidHeader",
    ),
    replaced("C03", "no Upgrade", "Upgrade: websocket\r\n", "", "InvalidUpgrade"),
    replaced("C03", "another Upgrade", "Upgrade: websocket", "Upgrade: h2c", "InvalidUpgrade"),
    replaced("C03", "no Connection", "Connection: Upgrade\r\n", "", "InvalidUpgrade"),
    replaced(
        "C03", "Connection: close", "Connection: Upgrade", "Connection: close", "InvalidUpgrade"
    ),
    replaced("C03", "HTTP/1.0", "HTTP/1.1 101", "HTTP/1.0 101", "InvalidMessage"),
    replaced("C03", "HTTP/2", "HTTP/1.1 101", "HTTP/2 101", "InvalidMessage"),
    replaced("C03", "a status of four digits", " 101 ", " 1010 ", "InvalidMessage"),
    replaced("C03", "a status of two digits", " 101 ", " 10 ", "InvalidMessage"),
    replaced(
        "C03", "a folded line", "Upgrade: websocket", "Upgrade:\r\n websocket", "InvalidMessage"
    ),
    replaced("C03", "a space before the colon", "Upgrade:", "Upgrade :", "InvalidMessage"),
    replaced("C03", "NUL in a value", "Upgrade: ", "X: \0\r\nUpgrade: ", "InvalidMessage"),
    ClientRow(
        "C03",
        "lines that end in LF",
        lambda token: switching(token).replace(b"\r\n", b"\n"),
        "InvalidMessage",
    ),
    added(
        "C04",
        "a subprotocol that was not offered",
        "Sec-WebSocket-Protocol: three",
        raises="InvalidSubprotocol",
        options={"subprotocols": ["one", "two"]},
    ),
    added(
        "C04",
        "two subprotocols",
        "Sec-WebSocket-Protocol: one, two",
        raises="InvalidSubprotocol",
        options={"subprotocols": ["one", "two"]},
    ),
    added(
        "C04",
        "two subprotocols in two lines",
        "Sec-WebSocket-Protocol: one",
        "Sec-WebSocket-Protocol: one",
        raises="InvalidSubprotocol",
        options={"subprotocols": ["one", "two"]},
    ),
    added(
        "C04",
        "a subprotocol in other case",
        "Sec-WebSocket-Protocol: ONE",
        raises="InvalidSubprotocol",
        options={"subprotocols": ["one", "two"]},
    ),
    added(
        "C04",
        "a subprotocol though none was offered",
        "Sec-WebSocket-Protocol: one",
        raises="InvalidSubprotocol",
    ),
    added(
        "C04",
        "an extension that was not offered",
        "Sec-WebSocket-Extensions: x-other",
        raises="InvalidExtension",
    ),
    added(
        "C04",
        "compression though it was not offered",
        DEFLATE,
        raises="InvalidExtension",
        options={"compression": None},
    ),
    *(
        added("C05", title, f"{DEFLATE}{parameters}", raises="InvalidExtension")
        for title, parameters in {
            "compression twice": ", permessage-deflate",
            "16 bits": "; server_max_window_bits=16",
            "7 bits": "; client_max_window_bits=7",
            "08 bits": "; client_max_window_bits=08",
            "no bits": "; client_max_window_bits",
            "a parameter twice": "; server_no_context_takeover; server_no_context_takeover",
            "an unknown parameter": "; x=1",
            "a value where none belongs": "; server_no_context_takeover=1",
        }.items()
    ),
    added("C05", "a quoted string without an end", f'{DEFLATE}; x="', raises="InvalidHeader"),
    *(
        ClientRow(
            "C06",
            f"a window of 2**{bits}",
            lambda token, bits=bits: (
                switching(token, f"{DEFLATE}; client_max_window_bits={bits}")
                + WIRE.compressed(deflate(b"hello" * 100), TEXT)
            ),
            message="hello" * 100,
        )
        for bits in (8, 9, 15)
    ),
    ClientRow(
        "C09",
        "a head without an end",
        lambda token: switching(token)[:-2] + b"X: a\r\n" * 10**5,
        "InvalidMessage",
    ),
    ClientRow(
        "C09",
        "a line without an end",
        lambda token: b"HTTP/1.1 101 " + b"a" * 10**5,
        "InvalidMessage",
    ),
    ClientRow(
        "C09",
        "interim responses without an end",
        lambda token: head("HTTP/1.1 100 Continue") * 10**4,
        "InvalidMessage",
    ),
    ClientRow(
        "C09",
        "a head, slowly, without an end",
        lambda token: switching(token)[:-2] + b"X: " + b"a" * 10**4,
        "TimeoutError",
        options={"open_timeout": 0.3},
        drips=True,
    ),
    ClientRow(
        "C09",
        "a body, slowly, without an end",
        lambda token: head("HTTP/1.1 403 No") + b"a" * 10**4,
        "InvalidStatus",
        options={"open_timeout": 0.3},
        drips=True,
    ),
    ClientRow(
        "C09",
        "nothing",
        lambda token: b"",
        "TimeoutError",
        options={"open_timeout": 0.3},
        ends=False,
    ),
    ClientRow("C12", "a message in the response's segment", lambda token: switching(token) + HELLO),
    ClientRow(
        "C12",
        "a message longer than a head may be, in the response's segment",
        lambda token: switching(token) + WIRE.frame(BINARY, bytes(BIG)),
        message=bytes(BIG),
    ),
    ClientRow("X07", "the end, and nothing else", lambda token: b"", "InvalidMessage"),
    ClientRow("X07", "half a status line", lambda token: b"HTTP/1.1 101 Swi", "InvalidMessage"),
    ClientRow("X07", "an SSH server", lambda token: b"SSH-2.0-OpenSSH_9.6\r\n", "InvalidMessage"),
    ClientRow(
        "X07",
        "an interim response first",
        lambda token: head("HTTP/1.1 103 Early Hints", "Link: </x>") + switching(token) + HELLO,
    ),
    added("X07", "a 101 with a length", "Content-Length: 0"),
    added("X07", "bytes over 127 in a value", "X-A: é"),
]
