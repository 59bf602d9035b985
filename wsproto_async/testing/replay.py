"""A recorded conversation, held once more with the half of it that is to be tested.

A server's bytes follow from its client's, so a recorded client can be replayed as it is. A client
draws its key and its masking keys anew, so to a client the recorded server says the
Sec-WebSocket-Accept that its new key asks for; nothing else of what it says depends on them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from ..aio.protocol import WebSocketProtocol
from ..aio.server import Handler
from ..aio.websocket import WebSocket
from ..exceptions import ConnectionClosed
from ..handshake.server import accept_token
from .direction import End
from .failures import Failures
from .link import Link
from .recording import Piece, Recording
from .server import MemoryConnect, serve_unwatched
from .transcript import Transcript

__all__ = ["replay_to_client", "replay_to_server"]

_KEY: Final = re.compile(rb"\r\nSec-WebSocket-Key: *([^ \r]+)", re.IGNORECASE)
_ACCEPT: Final = re.compile(rb"\r\nSec-WebSocket-Accept: *([^ \r]+)", re.IGNORECASE)


async def replay_to_server(
    recording: Recording,
    handler: Handler,
    *,
    in_time: bool = False,
    patience: float = 5,
    **options: Any,
) -> Recording:
    """Let the client of ``recording`` talk to a server again, and return what came of it.

    Its pieces are sent as they were delivered, each when as many frames have come back as then.
    :func:`differences` compares both recordings.

    - ``handler``, ``options``: the server, as for :func:`serve_in_memory`.
    - ``in_time``: True lets pass between the pieces the time that passed then; best with
      :func:`virtual_clock`. False by default.
    - ``patience``: seconds to wait for what does not come, 5; after that it waits for nothing more.

    Raises what ``serve`` raises, but nothing that the handler does, and ValueError for a recording
    that does not begin with the opening handshake.
    """
    _check_beginning(recording)
    link = Link()
    after = link.record()
    player = _Player(masked=False)
    async with serve_unwatched(Failures().watch(handler), **options) as server:
        protocol = server.server.make_protocol()
        link.join(player, protocol)
        await player.play(recording.pieces, "to_server", in_time, patience)
        link.cut()
    return after


async def replay_to_client(
    recording: Recording,
    talk: Callable[[WebSocket], Awaitable[None]],
    *,
    uri: str = "ws://localhost/",
    in_time: bool = False,
    patience: float = 5,
    **options: Any,
) -> Recording:
    """Let the server of ``recording`` talk to a client again, and return what came of it.

    - ``talk``: a coroutine function that is called with the client's ``WebSocket``, which is
      closed when it returns. What it raises is raised here, but for ConnectionClosed.
    - ``uri``, ``options``: the client, as for :meth:`MemoryServer.connect`.
    - ``in_time``, ``patience``: as for :func:`replay_to_server`.

    Raises what ``connect`` raises, TimeoutError if ``talk`` does not end within ``patience`` after
    all has been said, and ValueError as :func:`replay_to_server`. Cancelling cancels ``talk``.
    """
    _check_beginning(recording)
    link = Link()
    after = link.record()
    player = _Player(masked=True)

    def join(client: WebSocketProtocol) -> None:
        link.join(client, player)

    async def run() -> None:
        async with MemoryConnect(uri, join, **options) as ws:
            await talk(ws)

    running = asyncio.create_task(run())
    try:
        request = await player.hear_head(patience)
        pieces = _with_token_for(request, recording.pieces)
        await player.play(pieces, "to_client", in_time, patience)
        await asyncio.wait([running], timeout=patience)
        link.cut()
        await asyncio.wait([running], timeout=patience)
    finally:
        link.cut()
        is_late = running.cancel()
        await asyncio.wait([running])
    if is_late:
        raise TimeoutError(f"the client did not end within {patience:g} s")
    with suppress(ConnectionClosed):
        await running
    return after


def _check_beginning(recording: Recording) -> None:
    # A client may have begun with anything, and a server have refused that.
    has_head = any(map(recording.begins_with_head, ("to_server", "to_client")))
    if recording.bytes_to("to_server") and not has_head:
        raise ValueError("the recording does not begin with the opening handshake")


def _with_token_for(request: bytes, pieces: Iterable[Piece]) -> list[Piece]:
    """Return the pieces with the Sec-WebSocket-Accept that answers ``request``."""
    pieces = list(pieces)
    data = Recording(pieces).bytes_to("to_client")
    key, token = _KEY.search(request), _ACCEPT.search(data)
    if key is not None and token is not None:
        # It is as long as the other.
        answer = accept_token(key[1].decode("latin-1")).encode()
        data = data[: token.start(1)] + answer + data[token.end(1) :]
    at = 0
    for number, piece in enumerate(pieces):
        if piece.direction == "to_client" and isinstance(piece.data, bytes):
            pieces[number] = piece._replace(data=data[at : at + len(piece.data)])
            at += len(piece.data)
    return pieces


class _Player(asyncio.Protocol):
    """The end of a link that says what was recorded."""

    def __init__(self, masked: bool) -> None:
        self._request = b""
        self._heard = Transcript(masked)
        self._is_over = False
        self._has_waited = False  # for what has not come
        self._change = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._heard.items:
            self._request += data
        self._heard.feed(data)
        self._change.set()

    def eof_received(self) -> bool:
        self._is_over = True
        self._change.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof_received()

    async def play(self, pieces: Iterable[Piece], own: str, in_time: bool, patience: float) -> None:
        """Say the pieces of one direction, and wait for those of the other."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        then = Transcript(masked=own == "to_client")
        for at, direction, data in pieces:
            if in_time:
                await asyncio.sleep(begun + at - loop.time())
            if direction == own:
                self._say(data)
            elif isinstance(data, End):
                await self._wait_until(lambda: self._is_over, patience)
            else:
                then.feed(data)
                await self._wait_until(lambda: self._has_heard(then), patience)

    def _has_heard(self, then: Transcript) -> bool:
        return self._heard.is_closed or len(self._heard.items) >= len(then.items)

    def _say(self, data: bytes | End) -> None:
        if data is End.RESET:
            self._transport.abort()
        elif isinstance(data, End):
            self._transport.write_eof()
        elif not self._transport.is_closing():
            self._transport.write(data)

    async def hear_head(self, patience: float) -> bytes:
        """Wait for a request, and return it."""
        await self._wait_until(lambda: bool(self._heard.items), patience)
        return self._request

    async def _wait_until(self, holds: Callable[[], bool], patience: float) -> None:
        if self._has_waited:
            return
        try:
            async with asyncio.timeout(patience):
                while not (holds() or self._is_over):
                    self._change.clear()
                    await self._change.wait()
        except TimeoutError:
            self._has_waited = True
