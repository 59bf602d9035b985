"""What subscribers are sent for a publication, and what is done about those who are slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..codec.opcodes import OP_BINARY, OP_TEXT
from ..pubsub.publication import Kind, Publication
from .audiences import Audiences, LocalAudience, policy_of
from .data import encode_data
from .fanout import Fanout
from .log import Log, one_line, who
from .outbox import CLOSED, OVERHEAD, Policy
from .prepared import PreparedMessage

if TYPE_CHECKING:
    from .protocol import ProtocolCore
    from .websocket import WebSocket

__all__ = ["Delivery"]


class Delivery:
    """Gives publications to the connections of this process, by way of ``fanout``.

    ``dropped`` counts messages that slow subscribers have not been sent, ``closed`` those that
    were closed.
    """

    def __init__(self, audiences: Audiences, log: Log) -> None:
        self._audiences = audiences
        self._log = log
        self._excluded: dict[bytes, ProtocolCore] = {}  # who was excluded once, by id
        self.fanout = Fanout(asyncio.get_running_loop())
        self.dropped = 0
        self.closed = 0

    def deliver(self, audience: LocalAudience, publication: Publication) -> None:
        """Let all subscribers have a publication, in its turn."""
        targets = audience.targets()
        if not targets:
            return
        message = self._prepare(audience, publication)
        if message is None:
            return
        policy = audience.policy
        if publication.slow is not None or publication.key:
            policy = policy_of(audience.name, audience.options, publication, self.slow)
        excluded = self._excluded.get(publication.exclude) if publication.exclude else None
        self.fanout.add(targets, message, policy, excluded)

    def catch_up(
        self, protocol: ProtocolCore, audience: LocalAudience, missed: Iterable[Publication]
    ) -> bool:
        """Let one connection have what it has missed at once, if there is room for all of it.

        Tell if there was.
        """
        prepared = [self._prepare(audience, each) for each in missed]
        messages = [each for each in prepared if each is not None]
        connection, sender = protocol.connection, protocol.sender
        size = sum(len(each.frame(connection.codec, False)) + OVERHEAD for each in messages)
        limit = audience.options.max_bytes
        if sender.buffered_amount() + size > (limit or sender.outbox_limit()):
            return False
        whole = Policy(audience.name, "close", limit, None, "", self.slow)
        self.fanout.give(protocol, messages, whole)
        return True

    def _prepare(self, audience: LocalAudience, publication: Publication) -> PreparedMessage | None:
        """Return what subscribers are sent for a publication; None for nothing."""
        wrap = audience.options.wrap
        if wrap is None:
            if publication.kind is not Kind.MESSAGE:
                return None
            opcode = OP_TEXT if publication.is_text else OP_BINARY
            return PreparedMessage(opcode, publication.payload, publication.compress)
        try:
            wrapped = wrap(publication)
            if wrapped is None:
                return None
            opcode, payload = encode_data(wrapped, None)
        except Exception as exc:
            self._log.exception("wrap failed", f"topic {one_line(audience.name)}", exc)
            return None
        return PreparedMessage(opcode, payload, publication.compress)

    # Who is left out

    def exclude(self, ws: WebSocket) -> bytes:
        """Remember a connection that a publication is not for, and return how it is named."""
        number = ws.id.bytes
        if ws._protocol.audiences is not None:
            self._excluded[number] = ws._protocol
        return number

    def forget(self, ws: WebSocket) -> None:
        """Remember it no more: it has no subscription."""
        if self._excluded:
            self._excluded.pop(ws.id.bytes, None)

    # Who is slow

    def slow(self, protocol: ProtocolCore, policy: Policy, what: str) -> None:
        """Something was done about a slow subscriber."""
        if what == CLOSED:
            self.closed += 1
            protocol.close(1013, "too slow")
        else:
            self.dropped += 1
        on_slow = self._audiences.options(policy.topic).on_slow
        ws = self._audiences.websockets.get(protocol)
        if on_slow is not None and ws is not None:
            self.call(on_slow, ws, policy.topic, what)

    async def wait_for_slow(self, name: str) -> None:
        """Wait until those who are slow have read what waits for them."""
        audience = self._audiences.by_name.get(name)
        for protocol in () if audience is None else audience.targets():
            while protocol.sender.outbox is not None and not protocol.is_lost:
                await protocol.sender.change()

    # The application's callbacks

    def call(self, callback: Callable[..., None], ws: WebSocket | None, *args: object) -> None:
        """Call what the application has given, about a connection or about a topic."""
        try:
            if ws is None:
                callback(*args)
            else:
                callback(ws, *args)
        except Exception as exc:
            whose = "the broker" if ws is None else who(ws._protocol)
            self._log.exception("callback of a topic failed", whose, exc)
