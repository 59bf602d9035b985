"""Messages that go through an extension: which frames may be marked, what comes, what is held."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import pytest
from traced import RUNS, traced

from wsproto_async.codec.frames import encode_frame
from wsproto_async.codec.parser import FrameParser
from wsproto_async.exceptions import InvalidExtension
from wsproto_async.extensions import Codec, Extension, Parameters, PerMessageDeflate, Recent
from wsproto_async.sansio import (
    ClientConnection,
    Close,
    Connection,
    Event,
    Ping,
    ServerConnection,
    State,
)

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
LONG = "a text that shrinks, " * 200

both_sides = pytest.mark.parametrize("side", ["server", "client"])
every_split = pytest.mark.parametrize("size", [1, 3, 2**30], ids=["bytes", "threes", "whole"])


class ShiftingCodec(Codec):
    """Adds one to every byte; counts what it encodes."""

    rsv = RSV2
    encoding = "shifting"
    encoded = 0

    def wants(self, payload: bytes) -> bool:
        return payload != b"leave me"

    def encode(self, payload: bytes, fin: bool) -> bytes:
        self.encoded += 1
        return bytes((byte + 1) % 256 for byte in payload)

    def decode(self, payload: bytes, fin: bool, recent: Recent) -> Iterator[bytes]:
        yield bytes((byte - 1) % 256 for byte in payload)


class Shifting(Extension):
    name = "x-shifting"

    def offer(self) -> Parameters:
        return [("by", "1")]

    def accept(self, offered: Parameters) -> tuple[Parameters, Codec] | None:
        return [], ShiftingCodec()

    def finalize(self, accepted: Parameters) -> Codec:
        return ShiftingCodec()


def connect(
    extensions: Sequence[Extension] = (), **options: int | None
) -> tuple[ServerConnection, ClientConnection]:
    extensions = extensions or [PerMessageDeflate(threshold=0)]
    server = ServerConnection(extensions=extensions, **options)
    client = ClientConnection("ws://h", extensions=extensions, **options)
    client.send_request()
    server.receive_data(client.data_to_send())
    server.next_event()
    server.send_response(server.accept())
    client.receive_data(server.data_to_send())
    client.next_event()
    assert (server.state, client.state) == (State.OPEN, State.OPEN)
    return server, client


def pair(side: str, *args: object, **options: int | None) -> tuple[Connection, Connection]:
    """The end to try, and its peer."""
    server, client = connect(*args, **options)
    return (server, client) if side == "server" else (client, server)


def receive(connection: Connection, data: bytes, size: int = 2**30) -> list[Event]:
    events = []
    for at in range(0, len(data), size):
        connection.receive_data(data[at : at + size])
        events += connection.events()
    return events


def frames(data: bytes, masked: bool) -> list[tuple[int, int, bytes]]:
    """(opcode, reserved bits, payload) of each frame."""
    parser = FrameParser(masked)
    parser.allow_rsv(RSV1)
    parser.feed(data)
    found = []
    while parser.read_header():
        found.append((parser.opcode, parser.rsv, parser.read_payload() or b""))
    return found


def deflate(text: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


# Both ways


@both_sides
@every_split
@pytest.mark.parametrize("stateless", [True, False])
def test_messages_of_every_kind(side: str, size: int, stateless: bool) -> None:
    deflate = PerMessageDeflate(
        server_no_context_takeover=stateless, client_no_context_takeover=stateless, threshold=0
    )
    end, peer = pair(side, [deflate])
    messages: list[str | bytes] = ["", b"", "short", LONG, LONG.encode(), bytes(range(256)), LONG]
    for compress in (None, True, False):
        for message in messages:
            if isinstance(message, str):
                end.send_text(message, compress=compress)
            else:
                end.send_binary(message, compress=compress)
            data = end.data_to_send()
            assert (frames(data, side == "client")[0][1] == RSV1) is (compress is not False)
            assert receive(peer, data, size) == [message]


@both_sides
@every_split
def test_fragments_with_a_ping_in_between(side: str, size: int) -> None:
    end, peer = pair(side)
    end.send_text("once upon ", fin=False)
    end.send_ping(b"p")
    end.send_continuation(b"a ", fin=False)
    end.send_continuation(b"time", fin=True)
    data = end.data_to_send()
    kinds = [(opcode, rsv) for opcode, rsv, _ in frames(data, side == "client")]
    assert kinds == [(TEXT, RSV1), (PING, 0), (CONT, 0), (CONT, 0)]
    assert receive(peer, data, size) == [Ping(b"p"), "once upon a time"]


@both_sides
def test_the_first_fragment_decides(side: str) -> None:
    end, peer = pair(side, [PerMessageDeflate(threshold=10)])
    for first, rest, rsv in [(b"small", b"x" * 100, 0), (b"x" * 10, b"y", RSV1)]:
        end.send_binary(first, fin=False)
        end.send_continuation(rest, fin=True)
        data = end.data_to_send()
        assert [each[1] for each in frames(data, side == "client")] == [rsv, 0]
        assert receive(peer, data) == [first + rest]


@both_sides
@every_split
def test_an_extension_of_somebody_elses(side: str, size: int) -> None:
    end, peer = pair(side, [Shifting()])
    end.send_text("hello")
    end.send_text("leave me")
    end.send_binary(b"\xff", fin=False)
    end.send_continuation(b"\x00", fin=True)
    end.send_text("no", compress=False)
    data = end.data_to_send()
    assert receive(peer, data, size) == ["hello", "leave me", b"\xff\x00", "no"]
    assert isinstance(end.codec, ShiftingCodec)
    assert end.codec.encoded == 3


# Which frames may be marked


@both_sides
@every_split
@pytest.mark.parametrize(
    "wrong",
    [
        (TEXT, RSV2, True),
        (TEXT, RSV3, True),
        (BINARY, RSV1 | RSV2, True),
        (PING, RSV1, True),
        (PONG, RSV1, True),
        (CLOSE, RSV1, True),
    ],
)
def test_marks_that_were_not_agreed_on(side: str, size: int, wrong: tuple[int, int, bool]) -> None:
    opcode, rsv, fin = wrong
    end, _ = pair(side)
    first = encode_frame(opcode, b"", fin=fin, rsv=rsv, masked=side == "server")[:1]
    assert receive(end, first, size) == [Close(1006)]
    assert str(end.error) == "reserved bits are set"
    assert end.close_sent == Close(1002, "reserved bits are set")


@both_sides
def test_a_continuation_is_never_marked(side: str) -> None:
    end, _ = pair(side)
    masked = side == "server"
    start = encode_frame(TEXT, deflate(b"a"), fin=False, rsv=RSV1, masked=masked)
    assert receive(end, start) == []
    assert receive(end, bytes([CONT | RSV1])) == [Close(1006)]
    assert end.close_sent is not None
    assert end.close_sent.code == 1002


@both_sides
def test_nothing_is_marked_if_nothing_was_agreed(side: str) -> None:
    server = ServerConnection()
    client = ClientConnection("ws://h", extensions=[PerMessageDeflate()])
    client.send_request()
    server.receive_data(client.data_to_send())
    server.next_event()
    server.send_response(server.accept())
    client.receive_data(server.data_to_send())
    client.next_event()
    end = server if side == "server" else client
    assert end.codec is None
    end.send_text(LONG, compress=True)
    assert LONG.encode() in end.data_to_send() or side == "client"
    assert receive(end, bytes([TEXT | RSV1 | 0x80])) == [Close(1006)]


def test_a_response_hook_may_take_the_extension_away() -> None:
    server = ServerConnection(extensions=[PerMessageDeflate()])
    client = ClientConnection("ws://h", extensions=[PerMessageDeflate()])
    client.send_request()
    server.receive_data(client.data_to_send())
    server.next_event()
    response = server.accept()
    del response.headers["Sec-WebSocket-Extensions"]
    server.send_response(response)
    client.receive_data(server.data_to_send())
    client.next_event()
    assert (server.codec, client.codec) == (None, None)


def test_a_malformed_offer_is_refused() -> None:
    server = ServerConnection(extensions=[PerMessageDeflate()])
    client = ClientConnection("ws://h", additional_headers={"Sec-WebSocket-Extensions": 'a;b="c'})
    client.send_request()
    server.receive_data(client.data_to_send())
    server.next_event()
    assert server.accept().status == 400


def test_an_answer_that_does_not_fit_the_offer() -> None:
    client = ClientConnection("ws://h", key="dGhlIHNhbXBsZSBub25jZQ==")
    client.send_request()
    client.receive_data(
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    assert list(client.events()) == [Close(1006)]
    assert isinstance(client.error, InvalidExtension)


# What is wrong inside


@both_sides
@every_split
@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [
        (TEXT, deflate(b"caf\xe9"), 1007),
        (TEXT, deflate(b"caf\xc3"), 1007),
        (BINARY, deflate(b"cut off" * 9)[:-3], 1007),
        (BINARY, b"", 1007),
        (BINARY, b"\xff\xff", 1007),
        (BINARY, deflate(bytes(1001)), 1009),
    ],
    ids=["not UTF-8", "half a character", "truncated", "nothing", "garbage", "too big"],
)
def test_payloads_that_are_none(
    side: str, size: int, opcode: int, payload: bytes, code: int
) -> None:
    end, _ = pair(side, max_size=1000)
    data = encode_frame(opcode, payload, rsv=RSV1, masked=side == "server")
    assert receive(end, data, size) == [Close(1006)]
    assert end.close_sent is not None
    assert end.close_sent.code == code
    assert (end.buffered, end.codec) == (0, None)


@both_sides
@every_split
@pytest.mark.parametrize(
    "behind",
    [
        (PING, 0, True, b"p"),
        (CLOSE, 0, True, b"\x03\xe8"),
        (TEXT, RSV1, True, b""),
        (CONT, 0, False, bytes(1001)),
        (CONT, RSV1, True, b""),
        (CONT, 0, True, b"\x00" * 900),
    ],
    ids=["ping", "close", "new message", "too long", "marked", "more"],
)
def test_what_is_wrong_first_decides(
    side: str, size: int, behind: tuple[int, int, bool, bytes]
) -> None:
    end, _ = pair(side, max_size=1000)
    masked = side == "server"
    opcode, rsv, fin, payload = behind
    data = encode_frame(BINARY, deflate(b"good"), fin=False, rsv=RSV1, masked=masked)
    data += encode_frame(CONT, b"\xff\xff\xff\xff", fin=False, masked=masked)
    data += encode_frame(opcode, payload, fin=fin, rsv=rsv, masked=masked)
    assert receive(end, data, size) == [Close(1006)]
    assert end.close_sent == Close(1007, "payload is not valid DEFLATE data")


@both_sides
def test_text_is_judged_before_it_is_complete(side: str) -> None:
    """In the middle of a frame, and of a message."""
    end, _ = pair(side)
    payload = deflate(bytes(range(97, 123)) * 500 + b"\xff" + LONG.encode() * 50)
    data = encode_frame(TEXT, payload, fin=False, rsv=RSV1, masked=side == "server")
    assert receive(end, data[:-5]) == [Close(1006)]
    assert end.close_sent is not None
    assert end.close_sent.code == 1007


@both_sides
def test_both_sizes_are_limited(side: str) -> None:
    """Of stored blocks too, whose payload is longer than the message."""
    end, peer = pair(side, [PerMessageDeflate(level=0, threshold=0)], max_size=1000)
    masked = side == "server"
    fitting = encode_frame(BINARY, deflate(bytes(1000)), rsv=RSV1, masked=masked)
    assert receive(end, fitting) == [bytes(1000)]
    peer.send_binary(bytes(998))
    assert receive(end, peer.data_to_send()) == [Close(1006)]
    assert end.close_sent is not None
    assert end.close_sent.code == 1009


@cache
def bomb(size: int) -> bytes:
    return deflate(bytes(size))


@both_sides
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fragment", [200, 2**30], ids=["fragments", "one frame"])
@pytest.mark.parametrize("max_size", [2**16, 10**6, 2**20, 2**24])
def test_a_bomb_costs_no_more_than_the_limit(
    side: str, opcode: int, fragment: int, max_size: int
) -> None:
    end, _ = pair(side, max_size=max_size)
    payload = bomb(4 * max_size)
    starts = range(0, len(payload), fragment)
    wire = [
        encode_frame(
            CONT if at else opcode,
            payload[at : at + fragment],
            fin=at == starts[-1],
            rsv=0 if at else RSV1,
            masked=side == "server",
        )
        for at in starts
    ]
    tracemalloc.start()
    try:
        events = [event for data in wire for event in receive(end, data)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert events == [Close(1006)]
    assert end.close_sent is not None
    assert end.close_sent.code == 1009
    assert peak <= max_size + 65536


# What is held


def held(
    extensions: Sequence[Extension], exchange: Callable[[Connection, Connection], None]
) -> int:
    """How many bytes 50 pairs hold that have been in use and are at rest, each."""
    pairs = []
    tracemalloc.start()
    try:
        for _ in range(50):
            pairs.append(connect(extensions))
            exchange(*pairs[-1])
        return tracemalloc.get_traced_memory()[0] // 50
    finally:
        tracemalloc.stop()


def test_a_connection_at_rest_costs_the_same_with_compression() -> None:
    class Never(PerMessageDeflate):
        name = "x-never"

        def accept(self, offered: Parameters) -> None:
            return None

    def exchange(one: Connection, other: Connection) -> None:
        for sender, receiver in ((one, other), (other, one)):
            sender.send_text(LONG, compress=True)
            assert receive(receiver, sender.data_to_send()) == [LONG]

    held([PerMessageDeflate()], exchange)  # the deflater that all share
    with_it, without = held([PerMessageDeflate()], exchange), held([Never()], exchange)
    assert with_it - without < 1500  # for two ends: the codecs, and the header field


@both_sides
@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("max_size", [None, 150_000])
def test_blocks_refer_to_what_has_been_taken(
    side: str, stateless: bool, max_size: int | None
) -> None:
    """Over final blocks, and as far as the window goes: RFC 7692 7.2.3.4."""
    extension = PerMessageDeflate(
        server_no_context_takeover=stateless, client_no_context_takeover=stateless
    )
    end, _ = pair(side, [extension], max_size=max_size)
    masked = side == "server"
    noise = random.Random(7692).randbytes(60_000)
    words = [noise[:100], noise[:100], noise, noise[40_000:] + noise[40_000:], b"", noise[40_000:]]
    before = b""
    for _ in range(2):
        parts: list[object] = []
        message = b"" if stateless else before
        for number, word in enumerate(words):
            deflater = zlib.compressobj(9, zlib.DEFLATED, -15, 8, 0, message[-32768:])
            payload = deflater.compress(word) + deflater.flush(zlib.Z_FINISH)
            message += word
            rsv = 0 if number else RSV1
            end.receive_data(
                encode_frame(CONT if number else BINARY, payload, fin=False, rsv=rsv, masked=masked)
            )
            assert end.next_event() is None, end.error
            parts.append(end.take_partial())
        assert parts == words
        assert receive(end, encode_frame(CONT, b"\x00", masked=masked)) == [b""]
        before = message


@both_sides
@pytest.mark.parametrize(("rsv", "most"), [(RSV1, 32768 + 45_000), (0, 16_000)])
def test_of_what_has_been_taken_a_window_is_held(side: str, rsv: int, most: int) -> None:
    """Beside the inflater, and of encoded messages only."""
    payload = deflate(LONG.encode() * 100) if rsv else LONG.encode() * 100
    wire = encode_frame(TEXT, payload, fin=False, rsv=rsv, masked=side == "server")
    ends = [pair(side, max_size=None)[0] for _ in range(RUNS)]

    def take() -> object:
        end = ends.pop()
        end.receive_data(wire)
        assert end.next_event() is None
        assert end.take_partial() == LONG * 100
        return end

    assert traced(take).kept < most


@both_sides
def test_an_encoded_message_is_not_held_whole_before_it_is_wanted(side: str) -> None:
    end, _ = pair(side, max_size=None)
    text = bytes(10_000_000)
    wire = encode_frame(BINARY, deflate(text), rsv=RSV1, masked=side == "server")
    end.partial_limit = 1000
    end.receive_data(wire)
    parts = []
    while (message := end.next_event()) is None:
        assert end.is_partial_held()
        assert end.buffered_message() < 1_100_000  # a kilobyte of input
        parts.append(end.take_partial())
    assert len(parts) >= 9
    assert b"".join([*parts, message]) == text


@both_sides
def test_an_encoded_message_may_be_wanted_whole_after_all(side: str) -> None:
    end, _ = pair(side, max_size=None)
    wire = encode_frame(TEXT, deflate(LONG.encode() * 900), rsv=RSV1, masked=side == "server")
    end.partial_limit = 1000
    assert receive(end, wire) == []
    end.partial_limit = None
    assert not end.is_partial_held()
    assert list(end.events()) == [LONG * 900]


@both_sides
@pytest.mark.parametrize("rsv", [0, RSV1])
def test_dropping_messages(side: str, rsv: int) -> None:
    """They are passed over, whatever is in them; control frames are not."""
    end, peer = pair(side, max_size=100)
    masked = side == "server"
    start = encode_frame(TEXT, deflate(b"begun"), fin=False, rsv=RSV1, masked=masked)
    assert receive(end, start) == []
    end.drop_messages = True
    wire = encode_frame(CONT, b"\xff" * 1000, fin=True, masked=masked)
    wire += encode_frame(PING, b"p", masked=masked)
    wire += encode_frame(TEXT, b"\xff" * 1000, rsv=rsv, masked=masked)
    peer.send_close(1000)
    assert receive(end, wire + peer.data_to_send(), 7) == [Ping(b"p"), Close(1000)]
    assert end.error is None


@both_sides
@every_split
def test_an_empty_fragment_after_a_final_block(side: str, size: int) -> None:
    """What came before was complete, however it was cut (7.2.3.4)."""
    end, _ = pair(side)
    masked = side == "server"
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = deflater.compress(b"text") + deflater.flush()
    wire = encode_frame(TEXT, payload, fin=False, rsv=RSV1, masked=masked)
    wire += encode_frame(CONT, b"", masked=masked)
    assert receive(end, wire, size) == ["text"]
