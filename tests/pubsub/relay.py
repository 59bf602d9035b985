"""A way to a broker that breaks, or leads to another, when a test wants it to."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Relay:
    """Listens at ``path``, and passes on to ``target`` and back: new connections to a new one."""

    def __init__(self, path: str, target: str) -> None:
        self.path = path
        self.target = target
        self.pause = 0.0
        """Seconds after each 64 KiB."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaf: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_unix_server(self._connected, self.path)
        return self

    async def __aexit__(self, *args: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()

    def be_deaf(self) -> None:
        """Pass nothing back on the connections there are: what is asked is done, not answered."""
        self._deaf |= self._tasks

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self.target)
        this = asyncio.current_task()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, back, None))
                both.create_task(self._pass_on(there, writer, this))
        finally:
            writer.transport.abort()
            back.transport.abort()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        task: asyncio.Task[None] | None,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if task not in self._deaf:
                    writer.write(data)
                    await writer.drain()
                    await asyncio.sleep(self.pause)
        writer.close()
