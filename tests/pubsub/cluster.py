"""A cluster of Redis servers of a test's own, whose slots can be moved."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType

from server import PATIENCE, RedisServer

from wsproto_async.pubsub.redis.slots import SLOTS, slot_of

__all__ = ["SETTLING", "RedisCluster"]

SETTLING = ["settle", "settle 1", "settle 8"]
"""Topics, one on each of three servers."""

OPTIONS = (
    *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
    *("--cluster-require-full-coverage", "no"),
)


class RedisCluster:
    """Servers that each have as many slots, and of each as many replicas."""

    def __init__(self, folder: Path, count: int = 3, replicas: int = 0) -> None:
        self.servers: list[RedisServer] = []
        for number in range(count * (1 + replicas)):
            path = folder / str(number)
            path.mkdir()
            self.servers.append(RedisServer(path, *OPTIONS))
        self._count = count
        self.url = self.servers[0].url

    async def __aenter__(self) -> RedisCluster:
        try:
            await self.start()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End all servers at once."""
        for server in self.servers:
            server.kill()

    async def start(self) -> None:
        """Start all servers, and wait until they are a cluster."""
        for server in self.servers:
            await server.start()
        masters, replicas = self.servers[: self._count], self.servers[self._count :]
        for number, master in enumerate(masters):
            mine = (slot for slot in range(SLOTS) if slot * self._count // SLOTS == number)
            await master.call("CLUSTER", "ADDSLOTS", *mine)
            await master.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            await server.call("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        await self.settle()
        for number, replica in enumerate(replicas):
            name = await masters[number % self._count].call("CLUSTER", "MYID")
            await replica.call("CLUSTER", "REPLICATE", name)

    async def settle(self) -> None:
        """Wait until all servers know all, and that all slots have a server."""
        async with asyncio.timeout(PATIENCE):
            for server in self.servers:
                while not await self._is_settled(server):  # noqa: ASYNC110 - it does not tell
                    await asyncio.sleep(0.02)

    async def _is_settled(self, server: RedisServer) -> bool:
        info = await server.call("CLUSTER", "INFO")
        known = b"cluster_known_nodes:%d\r" % len(self.servers)
        reachable = b"cluster_slots_ok:%d\r" % SLOTS  # the state is ok with less
        return b"cluster_state:ok" in info and known in info and reachable in info

    async def has_shard_channels(self) -> bool:
        """Tell if what is published can stay with the server that has the channel."""
        return bool(await self.servers[0].call("COMMAND", "INFO", "SPUBLISH") != [None])

    async def owner(self, topic: str) -> RedisServer:
        """Who has a topic."""
        slot = slot_of(f"{{{topic}}}")
        for first, last, (_, port, *_), *_ in await self.servers[0].call("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(server for server in self.servers if server.port == port)
        raise LookupError(topic)

    async def owned(self, name: str) -> dict[RedisServer, str]:
        """Topics whose names begin so, one on each server that has slots."""
        found: dict[RedisServer, str] = {}
        for number in range(100):
            found.setdefault(await self.owner(f"{name} {number}"), f"{name} {number}")
            if len(found) == self._count:
                break
        return found

    async def begin_move(self, topic: str, target: RedisServer) -> None:
        """Begin to move the slot of a topic: what is asked of it now is refused, or redirected."""
        slot, source = slot_of(f"{{{topic}}}"), await self.owner(topic)
        name, target_name = [await each.call("CLUSTER", "MYID") for each in (source, target)]
        await target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", name)
        await source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target_name)

    async def set_served(self, topic: str, is_served: bool) -> None:
        """Take the slot of a topic from all servers, or give it back to the first."""
        slot = slot_of(f"{{{topic}}}")
        for server in self.servers:
            if not is_served:
                await server.call("CLUSTER", "DELSLOTS", slot)
        if is_served:
            await self.servers[0].call("CLUSTER", "ADDSLOTS", slot)

    async def move(self, topic: str, target: RedisServer) -> None:
        """Move the slot of a topic, with all that is in it."""
        slot, source = slot_of(f"{{{topic}}}"), await self.owner(topic)
        await self.begin_move(topic, target)
        while keys := await source.call("CLUSTER", "GETKEYSINSLOT", slot, 100):
            where = ("127.0.0.1", target.port, "", 0, 5000, "KEYS")
            await source.call("MIGRATE", *where, *keys)
        name = await target.call("CLUSTER", "MYID")
        for server in (target, *self.servers):
            await server.call("CLUSTER", "SETSLOT", slot, "NODE", name)
