"""One connection to Redis: commands out, replies in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis

from ..connection import BrokerConnection
from ..futures import finish
from .call import Arguments, pack

__all__ = ["Connection"]

# Redis itself drops who has 32 MiB waiting; the longest reply to a command of ours is shorter too.
_MAX_REPLY: Final = 2**26

_NO_MORE: Final = object()


class Connection(BrokerConnection):
    """A connection whose replies go to ``on_replies``, an error as a ``hiredis.ReplyError``.

    ``on_silence`` is called when nothing has come for a while: it has to write something that is
    answered; ``on_lost`` with why the connection is over.
    """

    def __init__(self) -> None:
        super().__init__("the server")
        self.on_replies: Callable[[list[Any]], None] = lambda replies: None
        self.on_lost: Callable[[str], None] = lambda why: None
        self.on_silence: Callable[[], None] = lambda: None
        self._reader = hiredis.Reader(notEnoughData=_NO_MORE)
        self._unfinished = 0  # bytes of the reply that is not there as a whole

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.watch()

    def data_received(self, data: bytes) -> None:
        self.heard()
        replies: list[Any] = []
        try:
            self._reader.feed(data)
            replies.extend(iter(self._reader.gets, _NO_MORE))
        except (hiredis.ProtocolError, MemoryError, TypeError, ValueError) as exc:
            self.abort(f"no Redis: {exc}")
        self._unfinished = 0 if replies else self._unfinished + len(data)
        self.on_replies(replies)
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

        def take(some: list[Any]) -> None:
            replies.extend(some)
            if len(replies) >= len(commands):
                finish(done, None)

        self.on_replies = take
        self.write(b"".join(map(pack, commands)))
        await asyncio.wait((done, self.ended), return_when=asyncio.FIRST_COMPLETED)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise reply
        if self.ended.done():
            raise ConnectionError(self.ended.result())
        return replies[: len(commands)]
