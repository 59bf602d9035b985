"""The compiled and the pure build, loaded in one process, do the same with whatever comes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wsproto_async

SOURCES = Path(__file__).parent.parent / "wsproto_async"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY.encode() + b"\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n\r\n"
)
RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"
)

pytestmark = pytest.mark.skipif(
    not wsproto_async.compiled, reason="there is one build here: make test-compiled has both"
)


def load_pure() -> ModuleType:
    """Load the package from its sources, beside the compiled one, under another name."""
    name = "pure_wsproto_async"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, SOURCES / "__init__.py", submodule_search_locations=[str(SOURCES)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def both() -> list[str]:
    load_pure()
    return ["wsproto_async", "pure_wsproto_async"]


def open_server(package: str, **limits: Any) -> Any:
    sansio = importlib.import_module(f"{package}.sansio")
    deflate = importlib.import_module(package).PerMessageDeflate
    connection = sansio.ServerConnection(extensions=[deflate()], **limits)
    connection.receive_data(REQUEST)
    connection.next_event()
    connection.send_response(connection.accept())
    return connection


def open_client(package: str, **limits: Any) -> Any:
    sansio = importlib.import_module(f"{package}.sansio")
    deflate = importlib.import_module(package).PerMessageDeflate
    connection = sansio.ClientConnection(
        "ws://localhost/", extensions=[deflate()], key=KEY, **limits
    )
    connection.send_request()
    connection.receive_data(RESPONSE)
    connection.next_event()
    return connection


def describe(connection: Any) -> tuple[Any, ...]:
    return (
        connection.state.name,
        str(connection.close_sent),
        str(connection.close_received),
        str(connection.error),
        connection.eof_due,
        connection.buffered,
        connection.buffered_message(),
        connection.output_size,
    )


def run(connection: Any, pieces: list[bytes]) -> Iterator[Any]:
    """What a connection says to each piece of input, as values that can be compared."""
    for piece in pieces:
        connection.borrow_data(piece + b"others'", len(piece))
        yield [repr(event) for event in connection.events()]
        connection.return_data()
        yield describe(connection)
        connection.data_to_send()
    connection.receive_eof()
    yield [repr(event) for event in connection.events()], describe(connection)


def frames(masked: bool) -> st.SearchStrategy[bytes]:
    """Frames that are mostly right, so that connections get somewhere."""
    from wsproto_async.codec.mask import join_frame

    payloads = st.one_of(
        st.binary(max_size=140),
        st.text(max_size=60).map(str.encode),
        st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8bye", b"\xf2H\xcd\xc9\xc9\x07\x00", b"\x01"]),
        st.integers(120, 70_000).map(lambda size: b"a" * size),
    )
    firsts = st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0x41])
    anything = st.integers(0, 255)
    keys = st.binary(min_size=4, max_size=4) if masked else st.just(b"")
    return st.builds(join_frame, st.one_of(firsts, firsts, firsts, anything), payloads, keys)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


LIMITS = st.sampled_from([{}, {"max_size": 100}, {"max_size": None, "max_fragments": 2}])
PLACES = st.lists(st.integers(0, 2**20), max_size=6)


@settings(max_examples=400)
@given(st.lists(frames(masked=True), max_size=8), st.binary(max_size=20), LIMITS, PLACES)
def test_servers(wire: list[bytes], tail: bytes, limits: dict, places: list[int]) -> None:
    pieces = cut(b"".join(wire) + tail, places)
    compiled, pure = (list(run(open_server(package, **limits), pieces)) for package in both())
    assert compiled == pure


@settings(max_examples=400)
@given(st.lists(frames(masked=False), max_size=8), st.binary(max_size=20), LIMITS, PLACES)
def test_clients(wire: list[bytes], tail: bytes, limits: dict, places: list[int]) -> None:
    pieces = cut(b"".join(wire) + tail, places)
    compiled, pure = (list(run(open_client(package, **limits), pieces)) for package in both())
    assert compiled == pure


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)), st.booleans(), st.booleans())
def test_what_is_sent(message: str | bytes, fin: bool, compress: bool) -> None:
    sent = []
    for package in both():
        connection = open_server(package)
        connection.data_to_send()
        send = connection.send_text if isinstance(message, str) else connection.send_binary
        send(message, fin=fin, compress=compress)
        if not fin:
            connection.send_continuation(b"rest", fin=True)
        sent.append(connection.data_to_send())
    assert sent[0] == sent[1]


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4), st.integers(0, 300))
def test_masking(data: bytes, key: bytes, start: int) -> None:
    masks = [importlib.import_module(f"{package}.codec.mask") for package in both()]
    start = min(start, len(data))
    assert len({mask.apply_mask(data, key, start) for mask in masks}) == 1
    assert len({mask.join_frame(0x82, data, key) for mask in masks}) == 1


def test_they_are_two() -> None:
    assert wsproto_async.compiled
    assert not load_pure().compiled
