"""One connection to Redis: commands out, replies in, and an end when nothing comes any more.

What is written in one turn of the loop leaves in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import hiredis

from .call import Arguments, pack

__all__ = ["Connection"]

_TICK: Final = 1.0  # seconds
_SILENT_TICKS: Final = 4  # after as many without a byte it is dead: in 4 to 5 seconds
# Redis itself drops who has 32 MiB waiting; the longest reply to a command of ours is shorter too.
_MAX_REPLY: Final = 2**26


class Connection(asyncio.Protocol):
    """A connection, of which ``ended`` tells when it is over, and why.

    Replies go to ``on_reply``, an error as a ``hiredis.ReplyError``. ``ping`` is called when
    nothing has come for a while: it has to write something that is answered.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = loop.create_future()
        self.on_reply: Callable[[Any], None] = lambda reply: None
        self.on_lost: Callable[[str], None] = lambda why: None
        self.ping: Callable[[], None] = lambda: None
        self._loop = loop
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._unfinished = 0  # bytes of the reply that is not there as a whole
        self._why = "closed by the server"
        self._has_heard = True
        self._silent = 0
        self._timer: asyncio.TimerHandle | None = None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = self._loop.call_later(_TICK, self._tick)

    def data_received(self, data: bytes) -> None:
        self._has_heard = True
        reader = self._reader
        gets = reader.gets
        self._unfinished += len(data)
        try:
            reader.feed(data)
            while (reply := gets()) is not False:
                self._unfinished = 0
                self.on_reply(reply)
        except (hiredis.ProtocolError, MemoryError) as exc:
            self.abort(f"no Redis: {exc}")
        if self._unfinished > _MAX_REPLY:
            self.abort("a reply is too large")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        if not self.ended.done():
            why = self._why if exc is None else str(exc) or type(exc).__name__
            self.ended.set_result(why)
            self.on_lost(why)

    # What owners do

    def write(self, data: bytes) -> None:
        """Write at the end of this turn."""
        if not self._output:
            self._loop.call_soon(self._flush)
        self._output.append(data)

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._output))
        self._output.clear()

    async def ask(self, commands: Sequence[Arguments]) -> list[Any]:
        """Return the replies to the first commands; raises OSError, ReplyError."""
        replies: list[Any] = []
        done: asyncio.Future[None] = self._loop.create_future()

        def take(reply: Any) -> None:
            replies.append(reply)
            if len(replies) == len(commands):
                done.set_result(None)

        self.on_reply = take
        self.write(b"".join(map(pack, commands)))
        await asyncio.wait((done, self.ended), return_when=asyncio.FIRST_COMPLETED)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise reply
        if self.ended.done():
            raise ConnectionError(self.ended.result())
        return replies

    def close(self) -> None:
        """Close when all is written."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        """End at once."""
        self._why = why
        if self._transport is not None:
            self._transport.abort()

    # Ticks are counted, not time: while our own loop stands still there are none.
    def _tick(self) -> None:
        self._silent = 0 if self._has_heard else self._silent + 1
        self._has_heard = False
        if self._silent == _SILENT_TICKS:
            self.abort(f"silent for {_TICK * _SILENT_TICKS:g} s")
            return
        if self._silent:
            self.ping()
        self._timer = self._loop.call_later(_TICK, self._tick)
