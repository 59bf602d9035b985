"""Payload <-> DEFLATE: other encoders' streams, every cut, every truncation, bombs, and ours."""

from __future__ import annotations

import itertools
import json
import random
import threading
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.exceptions import ProtocolError
from wsproto_async.extensions import deflate as module
from wsproto_async.extensions.deflate import DeflateCodec

TAIL = b"\x00\x00\xff\xff"
CUTS = [1, 3, 1000, 2**30]
NOISE = random.Random(7692).randbytes(100_000)
TEXTS = [
    b"",
    b"x",
    b"Hello",
    b"a" * 300,
    json.dumps([{"id": n, "name": f"user{n}", "ok": n % 3 == 0} for n in range(60)]).encode(),
    NOISE[:700],
    bytes(70_000) + NOISE[:500],
    (b"far apart" + NOISE[:32_000]) * 2,
]


class Message:
    """What is decoded, with a limit, as a connection's."""

    def __init__(self, max_size: int = 2**24) -> None:
        self.data = bytearray()
        self.max_size = max_size
        self.largest = 0

    def append(self, piece: bytes) -> None:
        self.largest = max(self.largest, len(piece))
        if len(self.data) + len(piece) > self.max_size:
            raise ProtocolError("full", 1009)
        self.data += piece

    def recent(self, size: int) -> bytes:
        return bytes(self.data[-size:])


def codec(
    *,
    level: int = 1,
    threshold: int | None = None,
    bits: int = 15,
    encode_bits: int = 15,
    stateless: bool = True,
) -> DeflateCodec:
    return DeflateCodec(
        level,
        threshold,
        encode_bits=encode_bits,
        encode_stateless=stateless,
        decode_bits=bits,
        decode_stateless=stateless,
    )


def cut(payload: bytes, size: int) -> list[bytes]:
    return [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]


def decode(receiver: DeflateCodec, *pieces: bytes, max_size: int = 2**24) -> bytes:
    message = Message(max_size)
    for number, piece in enumerate(pieces, 1):
        for decoded in receiver.decode(piece, number == len(pieces), message.recent):
            message.append(decoded)
    return bytes(message.data)


def deflate(
    text: bytes,
    level: int = 6,
    bits: int = 15,
    strategy: int = zlib.Z_DEFAULT_STRATEGY,
    mode: int = zlib.Z_SYNC_FLUSH,
) -> bytes:
    """A message's payload as another encoder makes it (7.2.1), final blocks by 7.2.3.4."""
    deflater = zlib.compressobj(level, zlib.DEFLATED, -bits, 8, strategy)
    data = deflater.compress(text) + deflater.flush(mode)
    if mode == zlib.Z_FINISH:
        return data + b"\x00"
    return data[: -len(TAIL)]


def code_of(receiver: DeflateCodec, *pieces: bytes, max_size: int = 2**24) -> int:
    with pytest.raises(ProtocolError) as caught:
        decode(receiver, *pieces, max_size=max_size)
    return caught.value.code


# What others encode


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("f248cdc9c90700", b"Hello"),  # 7.2.3.1
        ("f200110000", b"Hello"),  # 7.2.3.2: only with the context of the one before
        ("000500faff48656c6c6f00", b"Hello"),  # 7.2.3.3
        ("f348cdc9c9070000", b"Hello"),  # 7.2.3.4
        ("f248050000 00ffff cac9c90700", b"Hello"),  # 7.2.3.5
        ("00", b""),  # 7.2.3.6
    ],
    ids=["one block", "shared window", "no compression", "final block", "two blocks", "empty"],
)
@pytest.mark.parametrize("size", CUTS)
def test_the_examples_of_the_rfc(payload: str, text: bytes, size: int) -> None:
    receiver = codec(stateless=False)
    if payload == "f200110000":
        assert decode(receiver, bytes.fromhex("f248cdc9c90700")) == text
    assert decode(receiver, *cut(bytes.fromhex(payload), size)) == text


def encoders() -> Iterator[tuple[int, int, int]]:
    for level, bits in itertools.product(range(10), range(9, 16)):
        yield level, bits, zlib.Z_DEFAULT_STRATEGY
    for bits, strategy in itertools.product(
        (9, 15), (zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)
    ):
        yield 6, bits, strategy


@pytest.mark.parametrize(("level", "bits", "strategy"), list(encoders()))
@pytest.mark.parametrize("mode", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH], ids=["flush", "finish"])
def test_other_encoders(level: int, bits: int, strategy: int, mode: int) -> None:
    receiver = codec(bits=bits)
    for text in TEXTS:
        payload = deflate(text, level, bits, strategy, mode)
        for size in CUTS if len(text) < 1000 else CUTS[2:]:
            assert decode(receiver, *cut(payload, size)) == text


@pytest.mark.parametrize("size", CUTS)
def test_a_context_that_is_taken_over(size: int) -> None:
    receiver = codec(stateless=False)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    for text in (TEXTS[4], TEXTS[4], b"", TEXTS[5], TEXTS[4] + TEXTS[5], TEXTS[2]):
        payload = (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        assert decode(receiver, *cut(payload, size)) == text


@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("size", CUTS)
def test_final_blocks_end_neither_the_message_nor_the_window(stateless: bool, size: int) -> None:
    """7.2.3.4, and every block may refer to what came before the final one."""
    receiver = codec(stateless=stateless)
    words = [b"the window goes on, ", b"the window ends, ", b"the window goes on, "]
    for _ in range(2):
        before = b""
        payload = b""
        for word in words:
            deflater = zlib.compressobj(9, zlib.DEFLATED, -15, 8, 0, before)
            payload += deflater.compress(word) + deflater.flush(zlib.Z_FINISH)
            before += word
        assert decode(receiver, *cut(payload + b"\x00", size)) == before


@pytest.mark.parametrize("size", CUTS)
def test_a_message_may_refer_over_a_final_block_to_the_one_before(size: int) -> None:
    receiver = codec(stateless=False)
    before = b""
    for word in [b"once upon a time", NOISE[:50_000], b"once upon a time", NOISE[40_000:50_000]]:
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15, 8, 0, before[-32768:])
        payload = deflater.compress(word) + deflater.flush(zlib.Z_FINISH) + b"\x00"
        assert decode(receiver, *cut(payload, size)) == word
        before += word


def test_a_final_block_may_end_the_message() -> None:
    """The 0x00 after it says nothing that is not clear."""
    receiver = codec()
    for text in TEXTS:
        payload = deflate(text, mode=zlib.Z_FINISH)
        assert decode(receiver, payload[:-1]) == text
        assert decode(receiver, payload) == text


@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("size", CUTS)
def test_an_empty_final_block_whose_end_was_taken_away(stateless: bool, size: int) -> None:
    """7.2.1 takes 00 00 ff ff from it as from a flush. The window goes on after it."""
    receiver = codec(stateless=stateless)
    before = b""
    for text in [*TEXTS, TEXTS[4], TEXTS[4]]:
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15, 8, 0, before[-32768:])
        payload = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH) + b"\x01"
        assert decode(receiver, *cut(payload, size)) == text
        before += b"" if stateless else text


@pytest.mark.parametrize("text", TEXTS)
def test_stored_blocks_that_were_flushed_and_finished(text: bytes) -> None:
    deflater = zlib.compressobj(0, zlib.DEFLATED, -15)
    payload = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH) + deflater.flush()
    assert payload.endswith(b"\x01" + TAIL)
    assert decode(codec(), payload[:-4]) == text
    assert decode(codec(stateless=False), payload[:-4]) == text


# What is wrong


@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("mode", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH], ids=["flush", "finish"])
@pytest.mark.parametrize("behind", [b"", b"\0\0\xff\xff\x01"], ids=["", "empty final block"])
@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED])
def test_no_truncated_message_is_taken_for_a_shorter_one(
    level: int, mode: int, behind: bytes, stateless: bool, strategy: int
) -> None:
    for text in TEXTS[1:6]:
        payload = deflate(text, level, 15, strategy, mode) + behind
        for end in range(len(payload)):
            receiver = codec(stateless=stateless)
            try:
                decoded = decode(receiver, payload[:end])
            except ProtocolError as exc:
                assert exc.code == 1007
                continue
            # The header of a stored block alone, final or not, is how the RFC writes an empty
            # message: what was cut off cannot be known.
            assert decoded == text or payload[:end] in (b"\x00", b"\x01")


@given(st.binary(max_size=200), st.booleans(), st.sampled_from([9, 15]))
def test_garbage_is_an_error_or_what_zlib_makes_of_it(
    payload: bytes, stateless: bool, bits: int
) -> None:
    try:
        decoded = decode(codec(bits=bits, stateless=stateless), payload)
    except ProtocolError as exc:
        assert exc.code == 1007
        return
    decompressor = zlib.decompressobj(-15)
    expected = decompressor.decompress(payload)
    while decompressor.eof and decompressor.unused_data:
        rest = decompressor.unused_data
        decompressor = zlib.decompressobj(-15, expected)
        expected += decompressor.decompress(rest)
    assert decoded == expected


@given(st.binary(max_size=2000), st.integers(1, 400), st.booleans())
def test_every_cut_gives_the_same(payload: bytes, size: int, valid: bool) -> None:
    if valid:
        payload = deflate(payload)

    def outcome(*pieces: bytes) -> bytes | int:
        try:
            return decode(codec(), *pieces)
        except ProtocolError as exc:
            return exc.code

    assert outcome(payload) == outcome(*cut(payload, size))


@pytest.mark.parametrize("bits", range(8, 15))
def test_a_distance_beyond_the_window_that_was_agreed(bits: int) -> None:
    """Seen for certain when it is over by an eighth."""
    letters = NOISE.translate(bytes(97 + byte % 26 for byte in range(256)))
    distance = 2**bits * 9 // 8 + 1
    text = b"NEEDLE" + letters[: distance - 6] + b"NEEDLE"
    payload = deflate(text, 9, 15)
    assert decode(codec(bits=15), payload) == text
    assert code_of(codec(bits=bits), payload) == 1007
    fitting = b"NEEDLE" + letters[: 2**bits - 6] + b"NEEDLE"
    assert decode(codec(bits=bits), deflate(fitting, 9, max(bits, 9))) == fitting


def test_a_context_that_was_to_be_forgotten() -> None:
    first, second = bytes.fromhex("f248cdc9c90700"), bytes.fromhex("f200110000")
    receiver = codec()
    assert decode(receiver, first) == b"Hello"
    assert code_of(receiver, second) == 1007


# Limits


@pytest.mark.parametrize("size", [100, 2**30], ids=["fragments", "one frame"])
@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("max_size", [2**16, 10**6, 2**20])
def test_a_bomb_stops_at_the_limit(max_size: int, stateless: bool, size: int) -> None:
    payload = deflate(bytes(16 * 2**20), 9)
    receiver = codec(stateless=stateless)
    message = Message(max_size)
    with pytest.raises(ProtocolError) as caught:
        for piece in cut(payload, size):
            for decoded in receiver.decode(piece, False, message.recent):
                message.append(decoded)
    assert caught.value.code == 1009
    assert max_size - 4096 <= len(message.data) <= max_size
    assert message.largest <= 4096


@pytest.mark.parametrize("size", CUTS[2:])
def test_the_limit_is_exact(size: int) -> None:
    for length in (4095, 4096, 4097, 8192, 100_000):
        payload = cut(deflate(bytes(length)), size)
        assert decode(codec(), *payload, max_size=length) == bytes(length)
        assert code_of(codec(), *payload, max_size=length - 1) == 1009


def test_final_blocks_are_counted() -> None:
    empty = zlib.compressobj(1, zlib.DEFLATED, -15).flush(zlib.Z_FINISH)
    receiver = codec()
    for _ in range(2):
        assert decode(receiver, empty * 4096) == b""
    assert code_of(receiver, empty * 4097) == 1008


# What we encode


@pytest.fixture(params=["isal", "zlib"])
def deflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra "isal" and without it."""
    isal = pytest.importorskip("isal.isal_zlib") if request.param == "isal" else None
    monkeypatch.setattr(module, "_isal", isal)
    monkeypatch.setattr(module, "_shared_deflaters", module._SharedDeflaters())


with_each_deflater = pytest.mark.usefixtures("deflater")


def inflate(payload: bytes) -> bytes:
    """Decode with nothing but this message (7.2.2)."""
    inflater = zlib.decompressobj(-15)
    text = inflater.decompress(payload + TAIL)
    assert not inflater.eof
    return text


@with_each_deflater
@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("bits", [8, 9, 12, 15])
def test_each_message_stands_alone(level: int, bits: int) -> None:
    """Whatever the one deflater of this level and window has compressed before."""
    senders = [codec(level=level, encode_bits=bits) for _ in range(2)]
    for text in TEXTS * 2:
        payloads = {sender.encode(text, True) for sender in senders}
        assert len(payloads) == 1
        assert inflate(payloads.pop()) == text


@with_each_deflater
def test_fragments_of_several_connections_interleaved() -> None:
    senders = [codec() for _ in range(3)]
    payloads = [b"", b"", b""]
    fragments = [b"", TEXTS[4], TEXTS[2], b"", TEXTS[4], b""]
    for number, fragment in enumerate(fragments, 1):
        for index, sender in enumerate(senders):
            payloads[index] += sender.encode(fragment, number == len(fragments))
    assert [inflate(payload) for payload in payloads] == [b"".join(fragments)] * 3


@with_each_deflater
@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("fragments", list(itertools.product([b"", b"some text " * 20], repeat=3)))
def test_empty_messages_and_fragments(stateless: bool, fragments: tuple[bytes, ...]) -> None:
    sender, receiver = codec(stateless=stateless), codec(stateless=stateless)
    for _ in range(2):
        pieces = [sender.encode(each, index == 2) for index, each in enumerate(fragments)]
        assert decode(receiver, *pieces) == b"".join(fragments)
        assert decode(receiver, sender.encode(b"", True)) == b""


def test_a_context_of_our_own_makes_repetitions_small() -> None:
    sender, receiver = codec(stateless=False), codec(stateless=False)
    sizes = []
    for _ in range(3):
        payload = sender.encode(NOISE[:1000], True)
        assert decode(receiver, payload) == NOISE[:1000]
        sizes.append(len(payload))
    assert sizes[0] > 1000 > 50 > sizes[1] >= sizes[2]


@with_each_deflater
@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("bits", range(8, 16))
def test_the_window_is_kept(level: int, bits: int) -> None:
    """zlib decodes with a window of this size what was made for one."""
    window = 2**bits
    texts = [NOISE[: window + more] * 5 for more in (-300, -6, 0, 1, 50)]
    for stateless in (True, False):
        sender = codec(level=level, encode_bits=bits, stateless=stateless)
        receiver = codec(bits=bits, stateless=stateless)
        for text in [*TEXTS, *texts]:
            assert decode(receiver, *cut(sender.encode(text, True), 100)) == text


@with_each_deflater
class Interrupted:
    """A deflater that is interrupted between its two calls, as Ctrl-C may do."""

    def __init__(self) -> None:
        self._deflater = zlib.compressobj(1, zlib.DEFLATED, -15)

    def compress(self, data: bytes) -> bytes:
        return self._deflater.compress(data)

    def flush(self, mode: int) -> bytes:
        raise KeyboardInterrupt


@with_each_deflater
def test_a_message_whose_compression_was_broken_off_is_in_no_other() -> None:
    module._shared_deflaters.by_setting[1, 15] = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        codec().encode(b"a secret", True)
    assert inflate(codec().encode(b"for others", True)) == b"for others"


def test_threads_do_not_share_a_deflater() -> None:
    errors: list[bytes] = []
    barrier = threading.Barrier(4)

    def compress(text: bytes) -> None:
        sender = codec()
        barrier.wait()
        for _ in range(300):
            if inflate(sender.encode(text, True)) != text:
                errors.append(text)

    threads = [threading.Thread(target=compress, args=(NOISE[n : n + 20_000],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# Which messages are worth it


def test_small_messages_are_not_worth_it() -> None:
    sender = codec()
    assert (sender.wants(bytes(1023)), sender.wants(bytes(1024))) == (False, True)
    sender = codec(threshold=10)
    assert (sender.wants(bytes(9)), sender.wants(bytes(10))) == (False, True)


def test_unless_the_peer_compresses_such_small_ones() -> None:
    sender = codec()
    decode(sender, deflate(bytes(2000)))
    assert not sender.wants(bytes(1023))
    decode(sender, *cut(deflate(bytes(100)), 3))
    assert (sender.wants(bytes(99)), sender.wants(bytes(100))) == (False, True)
    decode(sender, deflate(bytes(500)))
    assert sender.wants(bytes(100))


def test_a_threshold_that_was_given_stays() -> None:
    sender = codec(threshold=1024)
    decode(sender, deflate(bytes(100)))
    assert not sender.wants(bytes(1023))
