"""The servers that share the topics: one, or those of a cluster, each with some of its slots.

What a server does not have any more waits until it is known who has it: so what one process
publishes on a topic stays in order, and a slot on its way from one server to another delays
nothing but its own topics.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any, Final, TypeVar

import hiredis

from ...exceptions import BrokerError
from ..futures import Tasks
from .address import Address
from .call import Call
from .command import Ask, Budget, Command
from .commands import MAX_AWAY
from .server import Server
from .slots import slot_of
from .topology import Topology

__all__ = ["Cluster"]

_T = TypeVar("_T")

_PAUSE: Final = 0.1  # seconds, from one look at who has what to the next
_MOVING: Final = "topics move from one server to another"

# What begins so is not going to change while a server starts.
_FINAL: Final = ("NOAUTH", "NOPERM", "WRONGPASS", "ERR AUTH", "ERR DB index", "ERR SELECT")


class Cluster:
    """Sends commands, and subscribes, where the slot of the topic is.

    ``on_link`` is called with why something may be missed from now on, and with None when all
    topics are subscribed to again. ``on_message`` is called with a topic and what was published.
    """

    def __init__(
        self,
        address: Address,
        on_link: Callable[[str | None], None],
        on_message: Callable[[str, bytes], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._on_link = on_link
        self.message = on_message
        self._is_cluster = False
        self._owners: list[Server | None] = []  # by slot
        self._servers: dict[Address, Server] = {}
        self._topics: dict[bytes, tuple[str, Server]] = {}  # by channel
        self._held: defaultdict[int, _Held] = defaultdict(_Held)  # by slot
        self.budget = Budget()
        """What all commands take."""
        self._is_up = False
        self._is_lost = False  # a topic that has to be subscribed to elsewhere
        self._moving = 0  # topics that are not confirmed there yet
        self._closed: str | None = None
        self._failure: Exception | None = None
        self._settled = asyncio.Event()
        self._suspects: set[Server] = set()
        self._look = asyncio.Event()
        self._tasks = Tasks()

    # Its life

    async def start(self) -> None:
        """Connect to all servers. Raises BrokerError, and goes on trying if there is none yet."""
        while (topology := await self._ask([self._address])) is None:
            self._raise_final()
            await asyncio.sleep(_PAUSE)
        self._apply(topology)
        await self._settled.wait()
        self._raise_final()
        self._tasks.start(self._watch())

    @property
    def failure(self) -> str:
        """Why there is no connection."""
        return str(self._failure or "") or "silent"

    def _raise_final(self) -> None:
        exc = self._failure
        if isinstance(exc, BrokerError) or str(exc).startswith(_FINAL):
            raise BrokerError(str(exc)) from exc

    async def close(self, why: str) -> None:
        """Let all fail that is under way, and close the connections."""
        self._closed = why
        self._tasks.cancel()
        for held in self._held.values():
            for command in held.take():
                command.fail(why)
        for server in self._servers.values():
            server.commands.fail(why)
            server.subscriptions.close(why)
        await asyncio.gather(*(server.close() for server in self._servers.values()))
        await self._tasks.wait()

    # What is asked of it

    def send(self, command: Command) -> None:
        """Send a command, or let it fail."""
        if self._closed is not None:
            command.fail(self._closed)
        elif not self.budget.take(command.size):
            command.size = 0
            command.fail("too much is waiting for the broker")
        elif self._held and command.call.slot in self._held:
            self._held[command.call.slot].put.append(command)
        else:
            server = self._owners[command.call.slot] or self._anybody()
            server.commands.put(command)

    def flush(self) -> None:
        """Let what is written leave before the end of this turn."""
        for server in self._servers.values():
            server.commands.flush()

    def ask(self, call: Call, convert: Callable[[Any], _T]) -> asyncio.Future[_T]:
        """Send a command that may be repeated; the future has what is made of the reply."""
        command = Ask(call, convert, self._loop.create_future(), self.budget)
        self.send(command)
        return command.future

    def subscribe(self, topic: str, channel: bytes) -> asyncio.Future[None]:
        """Subscribe; done when that is confirmed, which may be on another connection."""
        future: asyncio.Future[None] = self._loop.create_future()
        server = self._owner(slot_of(channel))
        self._topics[channel] = topic, server
        server.subscriptions.subscribe(topic, channel, [future])
        return future

    def unsubscribe(self, channel: bytes) -> None:
        """Unsubscribe, if there is a subscription."""
        if channel in self._topics:
            _, server = self._topics.pop(channel)
            server.subscriptions.unsubscribe(channel)

    def _owner(self, slot: int) -> Server:
        """Return who has a slot; if it is nobody's, anybody, who will say so."""
        return self._owners[slot] or self._anybody()

    def _anybody(self) -> Server:
        return next(iter(self._servers.values()))

    def _is_at(self, server: Server, command: Command) -> bool:
        return self._owner(command.call.slot) is server

    # What servers tell

    def changed(self, server: Server, why: str) -> None:
        if self._is_cluster:
            why = f"{server.address}: {why}"
            self._look.set()
        self._update(why)

    def failed(self, exc: Exception) -> None:
        self._failure = exc
        if isinstance(exc, BrokerError) or str(exc).startswith(_FINAL):
            self._settled.set()

    def command_elsewhere(self, server: Server, command: Command) -> None:
        self._hold(command)
        self._suspects.add(server)
        self._look.set()

    def subscription_elsewhere(self, server: Server) -> None:
        self._is_lost = True
        self._update(_MOVING)
        self._suspects.add(server)
        self._look.set()

    def _update(self, why: str) -> None:
        is_up = not (self._is_lost or self._moving) and all(
            server.is_up for server in self._servers.values()
        )
        if is_up is self._is_up:
            return
        self._is_up = is_up
        self._settled.set()
        self._on_link(None if is_up else why)

    # Who has what

    async def _watch(self) -> None:
        while True:
            await self._look.wait()
            self._look.clear()
            if not self._is_cluster and not self._suspects:
                continue
            suspects, self._suspects = self._suspects, set()
            topology = await self._ask(self._likely(suspects))
            for server in suspects:
                await server.commands.settle()  # all that it has refused is held then
            if topology is not None:
                self._apply(topology)
            if not self._is_up or self._held:
                self._look.set()
            await asyncio.sleep(_PAUSE)

    def _likely(self, suspects: set[Server]) -> list[Address]:
        """Return whom to ask: first who has just sent us elsewhere, and the silent ones last."""
        servers = sorted(
            self._servers.values(), key=lambda each: (each not in suspects, not each.is_up)
        )
        return [*(server.address for server in servers), self._address]

    async def _ask(self, addresses: list[Address]) -> Topology | None:
        for address in addresses:
            try:
                return await Topology.ask(address)
            except (OSError, hiredis.ReplyError, BrokerError) as exc:
                self._failure = exc
        return None

    def _apply(self, topology: Topology) -> None:
        self._is_cluster = topology.is_cluster
        addresses = {address for address in topology.owners if address is not None}
        gone = [self._servers.pop(address) for address in self._servers.keys() - addresses]
        for address in addresses - self._servers.keys():
            self._servers[address] = Server(address, self)
        self._owners = [address and self._servers[address] for address in topology.owners]
        self._move_subscriptions()
        for server in self._servers.values():
            for command in server.commands.give_up(partial(self._is_at, server)):
                self._hold(command)
        for server in gone:
            for command in server.commands.end("its server has left the cluster"):
                self._hold(command)
            self._tasks.start(server.close())
        self._release()
        self._update(_MOVING)

    def _move_subscriptions(self) -> None:
        self._is_lost = False
        for channel, (topic, server) in self._topics.items():
            owner = self._owner(slot_of(channel))
            if owner is server and not server.subscriptions.has_lost(channel):
                continue
            self._topics[channel] = topic, owner
            moved: asyncio.Future[None] = self._loop.create_future()
            moved.add_done_callback(self._moved)
            self._moving += 1
            futures = server.subscriptions.give_up(channel)
            owner.subscriptions.subscribe(topic, channel, [*futures, moved])

    def _moved(self, moved: asyncio.Future[None]) -> None:
        self._moving -= 1
        self._update(_MOVING)

    # What waits until that is known

    def _hold(self, command: Command) -> None:
        """Let a command wait that was sent before all that is held already and was not."""
        now = self._loop.time()
        if command.refused_at is None:
            command.refused_at = now
        command.is_written = False
        if now < command.refused_at + MAX_AWAY:
            self._held[command.call.slot].refused.append(command)
        else:
            command.fail("no server of the cluster has its slot")

    def _release(self) -> None:
        held = tuple(self._held.items())
        self._held.clear()
        for slot, commands in held:
            for command in commands.take():
                self._owner(slot).commands.put(command)


class _Held:
    """Commands of a slot, in order: those that a server had, and those that came since."""

    __slots__ = ("put", "refused")

    def __init__(self) -> None:
        self.refused: deque[Command] = deque()
        self.put: deque[Command] = deque()

    def take(self) -> chain[Command]:
        """Return all."""
        return chain(self.refused, self.put)
