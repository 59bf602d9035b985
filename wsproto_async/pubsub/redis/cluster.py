"""The servers that share the topics: one, or those of a cluster, each with some of its slots.

What a server does not have any more waits until it is known who has it: so what one process
publishes on a topic stays in order, and a slot on its way from one server to another delays
nothing but its own topics.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

import hiredis

from ...exceptions import BrokerError
from ..futures import Tasks
from .address import Address
from .call import Call
from .command import Ask, Command
from .held import Held
from .server import Server
from .slots import slot_of
from .topology import Topology

__all__ = ["Cluster"]

_T = TypeVar("_T")

# Seconds from one look at who has what to the next: at least, when it does not help, in any case.
_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0
_LOOK_AGAIN: Final = 5.0

_MOVING: Final = "topics move from one server to another"

# What begins so is not going to change while a server starts.
_FINAL: Final = ("NOAUTH", "NOPERM", "WRONGPASS", "ERR AUTH", "ERR DB index", "ERR SELECT")


class Cluster:
    """Sends commands, and subscribes, where the slot of the topic is.

    ``on_link`` is called with why something may be missed from now on, and with None when all
    topics are subscribed to again. ``on_message`` is called with a topic and what was published,
    ``on_restored`` with a topic that is subscribed to again, ``on_failure`` with why an attempt to
    connect was in vain.
    """

    def __init__(
        self,
        address: Address,
        on_link: Callable[[str | None], None],
        on_message: Callable[[str, bytes], None],
        on_restored: Callable[[str], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._on_link = on_link
        self.message = on_message
        self.restored = on_restored
        self._on_failure = on_failure
        self._is_cluster = False
        self._owners: list[Server | None] = []  # by slot
        self._servers: dict[Address, Server] = {}
        self._topics: dict[bytes, tuple[str, Server]] = {}  # by channel
        self._held = Held()
        self._is_up = False
        self._is_lost = False  # a topic that has to be subscribed to elsewhere
        self._moving: dict[bytes, asyncio.Future[None]] = {}  # until that is confirmed
        self._closed: str | None = None
        self._failure: Exception | None = None
        self._settled = asyncio.Event()
        self._suspects: set[Server] = set()  # who have sent us elsewhere
        self._hints: list[Address] = []  # and where
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
        if self._closed is not None:
            raise BrokerError(self._closed)
        exc = self._failure
        if isinstance(exc, BrokerError) or str(exc).startswith(_FINAL):
            raise BrokerError(str(exc)) from exc

    async def close(self, why: str) -> None:
        """Let all fail that is under way, and close the connections."""
        self._closed = why
        self._settled.set()
        self._tasks.cancel()
        for command in self._held.take():
            command.fail(why)
        for server in self._servers.values():
            server.commands.fail(why)
            server.subscriptions.close(why)
        await asyncio.gather(*(server.close() for server in self._servers.values()))
        await self._tasks.wait()

    # What is asked of it

    def send(self, commands: Iterable[Command]) -> None:
        """Send commands in this order, or let them fail."""
        owners = self._owners
        is_holding = bool(self._held)
        for command in commands:
            if self._closed is not None:
                command.fail(self._closed)
            elif not (is_holding and self._held.put(command)):
                server = owners[command.call.slot] or self._anybody()
                server.commands.put(command)

    def flush(self) -> None:
        """Let what is written leave before the end of this turn."""
        for server in self._servers.values():
            server.commands.flush()

    def ask(self, call: Call, convert: Callable[[Any], _T]) -> asyncio.Future[_T]:
        """Send a command that may be repeated; the future has what is made of the reply."""
        command = Ask(call, convert, self._loop.create_future())
        self.send((command,))
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

    def failed(self, server: Server, exc: Exception) -> None:
        self._failure = exc
        self._on_failure(f"{server.address}: {self.failure}" if self._is_cluster else self.failure)
        if isinstance(exc, BrokerError) or str(exc).startswith(_FINAL):
            self._settled.set()

    def command_elsewhere(self, server: Server, command: Command, why: str) -> None:
        self._hold(command)
        self._sent_elsewhere(server, why)

    def subscription_elsewhere(self, server: Server, why: str) -> None:
        self._is_lost = True
        self._update(_MOVING)
        self._sent_elsewhere(server, why)

    def _sent_elsewhere(self, server: Server, why: str) -> None:
        self._suspects.add(server)
        self._look.set()
        hint = server.address.named(why)
        if hint is not None:
            self._hints.append(hint)

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
        pause = _PAUSE
        while True:
            try:
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._look.wait()
            except TimeoutError:
                pass  # a server may have been left behind by the others, and not know it
            self._look.clear()
            if not self._is_cluster and not self._suspects:
                continue
            is_news = bool(self._suspects)
            await self._look_around()
            if self._held or self._is_lost or not all(map(_is_up, self._servers.values())):
                self._look.set()
                pause = _PAUSE if is_news else min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _PAUSE
            await asyncio.sleep(pause)

    async def _look_around(self) -> None:
        suspects, self._suspects = self._suspects, set()
        hints, self._hints = self._hints, []
        topology = await self._ask([*hints, *self._likely(), self._address])
        if topology is not None:
            for slot, owner in enumerate(topology.owners):
                server = self._owners[slot]
                if server is None or server.address != owner:
                    self._held.begin(slot)  # what comes now waits for what that server has
                    if server is not None:
                        suspects.add(server)
        # All that they refuse is held then.
        await asyncio.gather(*(server.commands.settle() for server in suspects))
        if topology is None:
            self._release()
        else:
            self._apply(topology)

    def _likely(self) -> list[Address]:
        """Return whom to ask: any, but the silent ones last."""
        servers = list(self._servers.values())
        random.shuffle(servers)
        servers.sort(key=lambda server: not server.is_up)
        return [server.address for server in servers]

    async def _ask(self, addresses: list[Address]) -> Topology | None:
        """Return what the first says that is sure, or else the last that is not."""
        topology: Topology | None = None
        for address in dict.fromkeys(addresses):
            try:
                topology = await Topology.ask(address)
            except (OSError, hiredis.ReplyError, BrokerError) as exc:
                self._failure = exc
            else:
                if topology.is_sure:
                    break
        return topology

    def _apply(self, topology: Topology) -> None:
        if self._closed is not None:
            return
        self._is_cluster = topology.is_cluster
        addresses = {address for address in topology.owners if address is not None}
        gone = [self._servers.pop(address) for address in self._servers.keys() - addresses]
        for address in addresses - self._servers.keys():
            self._servers[address] = Server(address, self)
        before = self._owners
        self._owners = [address and self._servers[address] for address in topology.owners]
        if self._is_lost or self._owners != before:
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
            futures = server.subscriptions.give_up(channel)
            if channel not in self._moving:
                moved = self._moving[channel] = self._loop.create_future()
                moved.add_done_callback(partial(self._moved, channel))
                futures.append(moved)
            owner.subscriptions.subscribe(topic, channel, futures, is_again=True)

    def _moved(self, channel: bytes, moved: asyncio.Future[None]) -> None:
        del self._moving[channel]
        if not moved.exception():  # else it is closed
            self._update(_MOVING)

    def _hold(self, command: Command) -> None:
        self._held.put_back(command, self._loop.time())

    def _release(self) -> None:
        for command in self._held.take():
            self._owner(command.call.slot).commands.put(command)


def _is_up(server: Server) -> bool:
    return server.is_up
