"""One connection to Redis: commands out, replies in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis

from ..connection import BrokerConnection
from .call import Arguments, pack

__all__ = ["Connection"]

# Redis itself drops who has 32 MiB waiting; the longest reply to a command of ours is shorter too.
_MAX_REPLY: Final = 2**26


class Connection(BrokerConnection):
    """A connection whose replies go to ``on_reply``, an error as a ``hiredis.ReplyError``.

    ``on_silence`` is called when nothing has come for a while: it has to write something that is
    answered; ``on_lost`` with why the connection is over.
    """

    def __init__(self) -> None:
        super().__init__("the server")
        self.on_reply: Callable[[Any], None] = lambda reply: None
        self.on_lost: Callable[[str], None] = lambda why: None
        self.on_silence: Callable[[], None] = lambda: None
        self._reader = hiredis.Reader()
        self._unfinished = 0  # bytes of the reply that is not there as a whole

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.watch()

    def data_received(self, data: bytes) -> None:
        self.heard()
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

    def ping(self) -> None:
        self.on_silence()

    def lost(self, why: str) -> None:
        self.on_lost(why)

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
