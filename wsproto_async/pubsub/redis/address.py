"""Where a Redis server is: the URL of one, taken apart, and connected to."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["Address"]

_PORT: Final = 6379
_PORT_NUMBER: Final = re.compile("[0-9]{1,5}")

_P = TypeVar("_P", bound=asyncio.Protocol)


class Address(NamedTuple):
    """A server, the database in it, and who asks.

    ``str(address)`` has no password in it.
    """

    host: str
    """Empty with ``path``."""
    port: int
    path: str
    """Of a Unix socket, or empty."""
    database: int
    user: str
    password: str
    context: ssl.SSLContext | None

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str, context: ssl.SSLContext | None = None) -> Address:
        """Return the address that ``url`` names; see ``RedisBroker``. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "redis+unix"):
            raise ValueError("the URL of a broker begins with redis://, rediss:// or redis+unix://")
        if context is not None and parts.scheme != "rediss":
            raise ValueError("ssl is for rediss:// alone")
        if parts.scheme == "rediss" and context is None:
            context = ssl.create_default_context()
        path = unquote(parts.path) if parts.scheme == "redis+unix" else ""
        if parts.scheme == "redis+unix" and not path:
            raise ValueError("redis+unix:// needs the path of a socket")
        query = parse_qs(parts.query, keep_blank_values=True)
        if query.keys() - {"db"} or parts.fragment:
            raise ValueError("a URL of Redis may have ?db=3; in a password ? is %3F, # is %23")
        database = query.get("db", ["0"])[-1]
        if not path and parts.path.strip("/"):
            database = parts.path.strip("/")
        if not (database.isascii() and database.isdigit()):
            raise ValueError("a database of Redis is a number")
        return cls(
            "" if path else parts.hostname or "localhost",
            parts.port or _PORT,
            path,
            int(database),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            context,
        )

    def named(self, error: str) -> Address | None:
        """Return the server that one at this address has named: ``MOVED slot host:port``, or ASK.

        None if ``error`` is something else.
        """
        kind, _, rest = error.partition(" ")
        host, _, port = rest.partition(" ")[2].rpartition(":")
        if kind not in ("MOVED", "ASK") or not _PORT_NUMBER.fullmatch(port):
            return None
        return self._replace(host=host or self.host, port=int(port), path="")

    async def connect(self, factory: Callable[[], _P]) -> _P:
        """Connect, and return the protocol; raises OSError."""
        loop = asyncio.get_running_loop()
        try:
            if self.path:
                _, protocol = await loop.create_unix_connection(factory, self.path)
            else:
                _, protocol = await loop.create_connection(
                    factory, self.host, self.port, ssl=self.context
                )
        except (ValueError, OverflowError) as exc:  # another server may have named anything
            raise OSError(f"no address: {exc}") from exc
        return protocol

    def greeting(self) -> list[tuple[str | int, ...]]:
        """Return the commands that say who asks, and for which database."""
        commands: list[tuple[str | int, ...]] = []
        if self.user or self.password:
            commands.append(("AUTH", self.user or "default", self.password))
        if self.database:
            commands.append(("SELECT", self.database))
        return commands
