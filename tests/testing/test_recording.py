"""Conversations that are recorded, kept in files, and held again."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from wsproto_async import ConnectionClosedError, InvalidStatus, WebSocket
from wsproto_async.testing import (
    End,
    Link,
    Piece,
    Recording,
    connected_pair,
    differences,
    replay_to_client,
    replay_to_server,
    virtual_clock,
)

PLAIN = {"compression": None}


async def shout(ws: WebSocket) -> None:
    async for message in ws:
        assert isinstance(message, str)
        await ws.send(message.upper())


async def whisper(ws: WebSocket) -> None:
    async for message in ws:
        assert isinstance(message, str)
        await ws.send(message.lower())


async def talk(ws: WebSocket) -> None:
    for message in ("Hello", "x" * 70_000, "Bye"):
        await ws.send(message)
        await ws.recv()


async def recorded(handler=shout, talk=talk) -> Recording:
    link = Link()
    recording = link.record()
    async with connected_pair(handler, link=link) as pair:
        await talk(pair.client)
    return recording


async def test_what_is_recorded() -> None:
    link = Link()
    link.to_server.split(7)
    recording = link.record()
    async with connected_pair(shout, link=link, client_options=PLAIN, server_options=PLAIN) as pair:
        await pair.client.send("hello")
        await pair.client.recv()
    to_server = [p.data for p in recording.pieces if p.direction == "to_server"]
    assert to_server[0] == b"GET / H"
    assert to_server[-1] is End.EOF
    assert recording.bytes_to("to_client").startswith(b"HTTP/1.1 101 ")
    assert recording.bytes_to("to_client").endswith(b"\x81\x05HELLO\x88\x02\x03\xe8")
    assert recording.pieces[0].at == 0.0
    assert [piece.at for piece in recording.pieces] == sorted(p.at for p in recording.pieces)


async def test_from_the_middle_and_cut_off() -> None:
    async with connected_pair(server_options=PLAIN) as pair:
        await pair.client.send("not recorded")
        await pair.server.recv()
        recording = pair.link.record()
        await pair.server.send("a")
        await pair.client.recv()
        other = pair.link.record()
        pair.link.cut()
    assert [(p.direction, p.data) for p in recording.pieces] == [
        ("to_client", b"\x81\x01a"),
        ("to_server", End.RESET),
        ("to_client", End.RESET),
    ]
    assert [piece.data for piece in other.pieces] == [End.RESET] * 2


async def spoken(*messages: str) -> Recording:
    """What is said on a connection that is open."""
    async with connected_pair(client_options=PLAIN) as pair:
        recording = pair.link.record()
        for message in messages:
            await pair.client.send(message)
            await pair.server.recv()
    return recording


async def test_two_from_the_middle() -> None:
    one, other = await spoken("one", "two"), await spoken("one", "2")
    assert differences(one, await spoken("one", "two")) == []
    assert differences(one, other) == ["to_server, frame 2: TEXT b'two' became TEXT b'2'"]
    with pytest.raises(ValueError, match="does not begin with the opening handshake"):
        await replay_to_server(one, shout)
    with pytest.raises(ValueError, match="does not begin with the opening handshake"):
        await replay_to_client(one, talk)


async def test_a_file_of_it(tmp_path: Path) -> None:
    recording = await recorded()
    recording.save(tmp_path / "a.jsonl")
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["to"] == "server"
    assert lines[0].startswith('{"at": 0.0, "to": "server", "data": "GET / HTTP/1.1\\r\\n')
    loaded = Recording.load(tmp_path / "a.jsonl")
    assert [piece[1:] for piece in loaded.pieces] == [piece[1:] for piece in recording.pieces]
    loaded.save(tmp_path / "b.jsonl")
    assert (tmp_path / "b.jsonl").read_text() == (tmp_path / "a.jsonl").read_text()


@pytest.mark.parametrize(
    "line",
    ["", "{}", "1", '{"at": 0, "to": "both", "data": ""}', '{"at": 0, "to": "client", "end": "x"}',
     '{"at": 0, "to": "client", "data": "\\u20ac"}', '{"at": 0, "to": "client", "data": 1}'],
)  # fmt: skip
def test_what_is_no_recording(tmp_path: Path, line: str) -> None:
    (tmp_path / "a").write_text(f'{{"at": 0.0, "to": "server", "data": "a"}}\n{line}\n')
    with pytest.raises(ValueError, match=r"^line 2 is none of a recording"):
        Recording.load(tmp_path / "a")


async def test_to_the_same_server() -> None:
    before = await recorded()
    after = await replay_to_server(before, shout)
    assert differences(before, after) == []
    assert after.bytes_to("to_client") == before.bytes_to("to_client")
    assert after.bytes_to("to_server") == before.bytes_to("to_server")


async def test_to_another_server() -> None:
    before = await recorded()
    found = differences(before, await replay_to_server(before, whisper, patience=0.2))
    assert found == ["to_client, frame 1: TEXT b'HELLO' became TEXT b'hello'"]


async def test_to_a_server_with_other_options() -> None:
    before = await recorded()
    found = differences(before, await replay_to_server(before, shout, max_size=10, patience=0.2))
    assert found[-1].startswith("to_client, frame 2: TEXT b")
    assert "became CLOSE b'\\x03\\xf1" in found[-1]


async def test_to_the_same_client() -> None:
    before = await recorded()
    after = await replay_to_client(before, talk)
    assert differences(before, after) == []
    assert after.bytes_to("to_server") != before.bytes_to("to_server")  # masking keys


async def test_to_another_client() -> None:
    async def talk_otherwise(ws: WebSocket) -> None:
        await ws.send("Hello?")
        with pytest.raises(AssertionError):
            assert await ws.recv() == "HELLO?"
        await ws.close(3000)

    before = await recorded()
    found = differences(before, await replay_to_client(before, talk_otherwise, patience=0.2))
    assert found[0] == "to_server, frame 1: TEXT b'Hello' became TEXT b'Hello?'"


async def test_a_client_that_waits_for_more_than_it_is_told() -> None:
    async def wait(ws: WebSocket) -> None:
        await talk(ws)
        await ws.recv()

    before = await recorded()
    assert differences(before, await replay_to_client(before, wait, patience=0.2)) == []


async def test_a_client_that_never_ends() -> None:
    async def sleep(ws: WebSocket) -> None:
        await asyncio.get_running_loop().create_future()

    before = await recorded()
    with pytest.raises(TimeoutError, match="did not end"):
        await replay_to_client(before, sleep, patience=0.05)


@pytest.mark.logs_errors
@virtual_clock
async def test_what_does_not_come_is_waited_for_once() -> None:
    async def forget(ws: WebSocket) -> None:
        await ws.recv()
        await shout(ws)

    async def fail(ws: WebSocket) -> None:
        raise RuntimeError("as told")

    async def talk(ws: WebSocket) -> None:
        for _ in range(10):
            await ws.send("Hello")
            await ws.recv()

    before = await recorded(talk=talk)
    loop = asyncio.get_running_loop()
    for handler, seconds in ((forget, 3), (fail, 0)):
        begun = loop.time()
        after = await replay_to_server(before, handler, patience=3)
        assert loop.time() - begun == pytest.approx(seconds, abs=0.1)
        assert differences(before, after)


async def test_a_replay_to_nothing() -> None:
    with pytest.raises(TypeError, match="coroutine function"):
        await replay_to_server(await recorded(), None)  # type: ignore[arg-type]


async def test_a_replay_that_is_cancelled() -> None:
    ended = []
    begun = asyncio.Event()

    async def sleep(ws: WebSocket) -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(ws)

    before = await recorded()
    task = asyncio.create_task(replay_to_client(before, sleep, patience=1000))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(ended) == 1


async def test_a_client_that_fails() -> None:
    async def fail(ws: WebSocket) -> None:
        raise RuntimeError("as told")

    before = await recorded()
    with pytest.raises(RuntimeError, match="as told"):
        await replay_to_client(before, fail, patience=0.2)


async def test_a_refusal_is_replayed() -> None:
    link = Link()
    before = link.record()
    with pytest.raises(InvalidStatus):
        async with connected_pair(link=link, client_options={"origin": "https://evil.example"}):
            pass
    date = b"Date: Thu, 01 Jan 1970 00:00:00 GMT"  # as of a recording that was kept
    for number, piece in enumerate(before.pieces):
        if isinstance(piece.data, bytes):
            data = re.sub(rb"Date: [^\r]+", date, piece.data)
            before.pieces[number] = piece._replace(data=data)
    assert date in before.bytes_to("to_client")
    assert differences(before, await replay_to_server(before, shout)) == []
    with pytest.raises(InvalidStatus):
        await replay_to_client(before, talk, origin="https://evil.example")


async def test_a_connection_that_was_cut_is_cut_again() -> None:
    async def talk_and_die(ws: WebSocket) -> None:
        await ws.send("Hello")
        await ws.recv()
        ws.abort()
        await ws.wait_closed()

    ended: list[type[BaseException]] = []

    async def handler(ws: WebSocket) -> None:
        try:
            await shout(ws)
        except ConnectionClosedError as exc:
            ended.append(type(exc))
            raise

    before = await recorded(handler, talk_and_die)
    assert End.RESET in [piece.data for piece in before.pieces]
    after = await replay_to_server(before, handler)
    assert ended == [ConnectionClosedError] * 2
    assert differences(before, after) == []


@virtual_clock
async def test_in_time() -> None:
    times: list[float] = []
    loop = asyncio.get_running_loop()

    async def note(ws: WebSocket) -> None:
        async for _ in ws:
            times.append(loop.time())

    async def talk_slowly(ws: WebSocket) -> None:
        for seconds in (1, 30, 600):
            await asyncio.sleep(seconds)
            await ws.send("x")

    before = await recorded(note, talk_slowly)
    begun = loop.time()
    first, times[:] = list(times), []
    await replay_to_server(before, note, in_time=True)
    assert [at - begun for at in times] == pytest.approx(first)


def test_pings_and_splits_are_no_difference() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: %s\r\n\r\n"
    one = Recording([Piece(0, "to_client", head % b"a" + b"\x81\x02hi\x89\x01p")])
    other = Recording(
        [
            Piece(0, "to_client", head % b"b"),
            Piece(1, "to_client", b"\x89\x01q\x81"),
            Piece(2, "to_client", b"\x02hi"),
        ]
    )
    assert differences(one, other) == []


@pytest.mark.parametrize(
    ("tail", "text"),
    [
        (b"\x81\x05he", "the beginning of TEXT b'he'"),
        (b"\x88\x02\x03", "the beginning of CLOSE b''"),
        (b"\x83\x00", "a violation: opcode 0x3 is reserved"),
        (b"\x01\x02hi", "TEXT b'hi' and more"),
        (b"\x81", "the beginning of a frame, 1 bytes"),
        (b"", "nothing"),
    ],
)
def test_how_frames_are_told(tail: bytes, text: str) -> None:
    one = Recording([Piece(0, "to_client", b"HTTP/1.1 101 OK\r\n\r\n" + tail)])
    other = Recording([Piece(0, "to_client", b"HTTP/1.1 101 OK\r\n\r\n\x82\x00")])
    assert differences(one, other) == [f"to_client, frame 1: {text} became BINARY b''"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b"HTTP/1.1 403 No\r\n\r\nFail A", b"HTTP/1.1 403 No\r\n\r\nFail B",
         "frame 1: b'Fail A' became b'Fail B'"),
        (b"HTTP/1.1 403 No\r\n", b"",
         "head: the beginning of a head b'HTTP/1.1 403 No\\r\\n' became nothing"),
        (b"\x83\x00one", b"\x83\x00two",
         "frame 2: b'\\x83\\x00one' became b'\\x83\\x00two'"),
    ],
)  # fmt: skip
def test_what_is_no_frame(before: bytes, after: bytes, told: str) -> None:
    one, other = (Recording([Piece(0, "to_client", data)]) for data in (before, after))
    assert differences(one, other) == [f"to_client, {told}"]
    pieces = Recording([Piece(0, "to_client", bytes([byte])) for byte in before])
    assert differences(one, pieces) == []
