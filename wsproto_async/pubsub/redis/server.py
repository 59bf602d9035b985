"""One server: the link that commands take to it, and the one that publications come on."""

from __future__ import annotations

import asyncio
from typing import Protocol

from .address import Address
from .command import Command
from .commands import Commands
from .link import Link
from .run import REPLICA
from .subscriptions import Subscriptions

__all__ = ["Server", "User"]


class User(Protocol):
    """Who uses a server."""

    def changed(self, server: Server, why: str) -> None:
        """``is_up`` has changed, with ``why`` it is not."""

    def failed(self, server: Server, exc: Exception) -> None:
        """An attempt to connect has failed."""

    def command_elsewhere(self, server: Server, command: Command, why: str) -> None:
        """The server is not the one to be asked that: it has not done it."""

    def subscription_elsewhere(self, server: Server, why: str) -> None:
        """The server is not the one to have one of the subscriptions."""

    def message(self, topic: str, data: bytes) -> None:
        """Something was published."""

    def restored(self, topic: str) -> None:
        """A topic is subscribed to again."""


class Server:
    """A server of a cluster, or the only one; ``is_up`` tells if both links are there."""

    def __init__(self, address: Address, user: User) -> None:
        self.address = address
        self.is_up = False
        self._user = user
        self._down = {"commands", "subscriptions"}
        self.commands = Commands(
            lambda why: self._linked("commands", why),
            lambda command, why: user.command_elsewhere(self, command, why),
        )
        self.subscriptions = Subscriptions(
            lambda why: self._linked("subscriptions", why),
            lambda why: user.subscription_elsewhere(self, why),
            user.message,
            user.restored,
        )
        loop = asyncio.get_running_loop()
        self._running = [
            loop.create_task(Link(address, owner.greeting, owner, self._failed).run())
            for owner in (self.commands, self.subscriptions)
        ]

    def _linked(self, link: str, why: str | None) -> None:
        (self._down.discard if why is None else self._down.add)(link)
        if link == "commands" and why == REPLICA:
            self.subscriptions.abort(why)
        elif not self._down and self.commands.run.id != self.subscriptions.run.id:
            self._abort_older("subscriptions" if link == "commands" else "commands")
        if self.is_up is bool(self._down):
            self.is_up = not self._down
            self._user.changed(self, why or "")
        if self.is_up:
            self.subscriptions.confirm()

    def _failed(self, exc: Exception) -> None:
        if str(exc) == REPLICA:
            self.subscriptions.abort(REPLICA)
        self._user.failed(self, exc)

    def _abort_older(self, link: str) -> None:
        """The address, or what is behind it, has led the links to two servers: take the later."""
        self._down.add(link)
        why = "the address is another server's now"
        (self.subscriptions if link == "subscriptions" else self.commands).abort(why)

    async def close(self) -> None:
        """Close both connections when all is written."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
