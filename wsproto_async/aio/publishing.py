"""Publishing: the message goes to the broker, and who awaits that does not run ahead of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ..codec.opcodes import OP_TEXT
from ..pubsub.broker import MAX_PAYLOAD, Broker
from ..pubsub.futures import fail
from ..pubsub.publication import Position, Publication
from ..pubsub.topic import Slow, check_key, check_slow
from .audiences import Audiences
from .data import Data, encode_data
from .delivery import Delivery
from .intake import MAX_PENDING
from .thread import current_thread

if TYPE_CHECKING:
    from .websocket import WebSocket

__all__ = ["Publisher"]

_IN_A_ROW: Final = 32  # messages whose publishers may await them without a turn of the loop


class Publisher:
    """Publishes for a server; ``published`` counts messages."""

    __slots__ = (
        "_broker",
        "_delivery",
        "_in_a_row",
        "_loop",
        "_options",
        "_thread",
        "published",
    )

    def __init__(self, audiences: Audiences, broker: Broker, delivery: Delivery) -> None:
        self._options = lru_cache(maxsize=4096)(audiences.options)
        self._broker = broker
        self._delivery = delivery
        self._loop = asyncio.get_running_loop()
        self._thread = current_thread()
        self._in_a_row = 0  # awaited without a turn of the loop
        self.published = 0

    def publish(
        self,
        name: str,
        message: Data,
        text: bool | None,
        compress: bool | None,
        exclude: WebSocket | None,
        key: str,
        slow: Slow | None,
        idempotency_key: str,
    ) -> Awaitable[Position | None]:
        """See ``Server.publish``."""
        if current_thread() != self._thread:
            raise RuntimeError(
                "called from another thread than the server's: "
                "see asyncio.run_coroutine_threadsafe() and loop.call_soon_threadsafe()"
            )
        options = self._options(name)
        opcode, payload = encode_data(message, text)
        if len(payload) > MAX_PAYLOAD:
            raise ValueError(f"a message of {len(payload)} bytes is too large to publish")
        if slow is not None:
            check_slow(slow)
        if key != "":
            check_key("key", key)
        if idempotency_key != "":
            check_key("idempotency_key", idempotency_key)
        publication = Publication(name, payload, opcode == OP_TEXT)
        publication.key = key
        publication.slow = slow
        publication.compress = compress
        if exclude is not None:
            publication.exclude = self._delivery.exclude(exclude)
        if self._delivery.fanout.pending > MAX_PENDING:
            done: asyncio.Future[Position | None] = self._loop.create_future()
            fail(done, "too much waits for its subscribers")
            return done
        self.published += 1
        done = self._broker.publish(publication, options.retention, idempotency_key)
        return _Publishing(done, self, name, slow or options.slow)

    async def settle(self, name: str, slow: str) -> None:
        """Wait for those who deliver, and with "wait" for those who read."""
        self._in_a_row += 1
        if self._in_a_row >= _IN_A_ROW:  # nobody may have subscribed
            self._in_a_row = 0
            await asyncio.sleep(0)
        fanout = self._delivery.fanout
        if slow == "wait" or fanout.is_busy():
            await fanout.settle()
        if slow == "wait":
            await self._delivery.wait_for_slow(name)


class _Publishing:
    """What ``publish`` returns: awaited, it tells the position, and waits for its turn."""

    __slots__ = ("_done", "_name", "_publisher", "_slow")

    def __init__(
        self, done: asyncio.Future[Position | None], publisher: Publisher, name: str, slow: str
    ) -> None:
        self._done = done
        self._publisher = publisher
        self._name = name
        self._slow = slow

    def __await__(self) -> Generator[Any, None, Position | None]:
        position = yield from self._done.__await__()
        yield from self._publisher.settle(self._name, self._slow).__await__()
        return position
