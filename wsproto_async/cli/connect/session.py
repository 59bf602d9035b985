"""Talking to a server at a terminal: lines that are sent, and commands that begin with ``/``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ...aio.client import connect
from ...aio.websocket import WebSocket
from ...exceptions import ConcurrencyError, ConnectionClosed
from ..ending import describe_close, end_of, status_of
from ..exits import fail
from ..failure import CONNECT_ERRORS, explain
from ..text import duration, escape
from .background import Background
from .events import message_lines
from .prompt import Prompt

__all__ = ["interact"]

_HELP: Final = """\
* /ping [TEXT]            measure the round-trip time
* /binary HEX             send a binary message: /binary 00 ff 7f
* /close [CODE] [REASON]  close the connection, with 1000 by default, and end
* /help                   this list
* //TEXT                  send text that begins with /
* Everything else is sent as it is. Ctrl-D closes the connection, Ctrl-C too, with 1001."""

_BACKLOG: Final = 1000  # lines that wait for the terminal before the server has to
_PAUSE: Final = 0.05  # seconds


def interact(opening: Callable[[], connect], url: str) -> int:
    """Connect and talk until the connection ends; return the exit status."""

    async def open_connection() -> WebSocket:
        return await opening()

    prompt = Prompt()
    try:
        with prompt, Background() as background:
            try:
                ws = background.run(open_connection())
            except CONNECT_ERRORS as exc:
                return fail(*explain(exc, url))
            return _Session(ws, background, prompt).run()
    except KeyboardInterrupt:
        return 128 + prompt.interrupted_by
    except OSError:  # the terminal is gone
        raise BrokenPipeError from None


class _Session:
    def __init__(self, ws: WebSocket, background: Background, prompt: Prompt) -> None:
        self._ws = ws
        self._background = background
        self._prompt = prompt
        self._end: ConnectionClosed | None = None
        self._is_closed_by_user = False
        self._is_left = False
        self._has_room = asyncio.Event()

    def run(self) -> int:
        self._prompt.show(f"* {self._connected()}; /help lists the commands")
        self._receiving = self._background.start(self._receive())
        self._background.start(self._wake())
        try:
            while self._end is None or self._prompt.backlog:
                try:
                    line = self._prompt.read()
                    if line is not None:
                        self._take(line)
                except UnicodeError:
                    self._prompt.show("* that line is not UTF-8; /binary HEX sends binary")
                except (ValueError, ConcurrencyError) as exc:
                    self._prompt.show(f"* {escape(str(exc))}")
                except ConnectionClosed:
                    continue  # what there is to tell of it comes at the end
        except EOFError:
            self._leave(1000)
            return 0
        except (KeyboardInterrupt, OSError):
            self._leave(1001)
            raise
        if self._is_closed_by_user and self._end.received is not None:
            return 0  # whatever the code
        return status_of(self._end)

    def _leave(self, code: int) -> None:
        """Close the connection, and wait until ``_receive`` has told of it."""
        self._is_left = True
        self._background.run(self._close(code))
        self._receiving.result()

    async def _close(self, code: int) -> None:
        self._has_room.set()
        await self._ws.close(code)

    def _connected(self) -> str:
        agreed = ["connected"]
        if self._ws.subprotocol is not None:
            agreed.append(f"subprotocol {escape(self._ws.subprotocol)}")
        assert self._ws.response is not None
        if extensions := self._ws.response.headers.get("Sec-WebSocket-Extensions"):
            agreed.append(escape(extensions))
        return ", ".join(agreed)

    def _take(self, line: str) -> None:
        """Do what a line asks for; raises ValueError if that cannot be."""
        line.encode()  # bytes that are no characters come as surrogates
        command, _, rest = line.partition(" ")
        rest = rest.strip()
        match command:
            case "/help":
                self._prompt.show(*_HELP.split("\n"))
            case "/ping":
                self._background.start(self._ping(rest))
            case "/binary":
                self._send(_from_hex(rest))
            case "/close":
                code, _, reason = rest.partition(" ")
                if code and not (code.isascii() and code.isdigit()):
                    raise ValueError(f"{code} is no close code")
                self._background.run(self._ws.close(int(code or 1000), reason.strip()))
                self._is_closed_by_user = True
            case _ if command.startswith("//"):
                self._send(line[1:])
            case _ if command.startswith("/"):
                raise ValueError(f"no command {command}: /help lists them, /{line} sends it")
            case _:
                self._send(line)

    def _send(self, message: str | bytes) -> None:
        self._background.run(self._ws.send(message))

    async def _ping(self, text: str) -> None:
        try:
            latency = await (await self._ws.ping(text or None))
        except ConnectionClosed:
            return
        except (ValueError, ConcurrencyError) as exc:
            self._prompt.show(f"* {exc}")
        else:
            self._prompt.show(f"* pong after {duration(latency)}")

    async def _receive(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = await self._ws.recv()
                if self._prompt.backlog > _BACKLOG:
                    if self._is_left:
                        continue
                    self._has_room.clear()
                    await self._has_room.wait()
                first, *others = message_lines(message)
                self._prompt.show(f"< {first}", *(f"  {line}" for line in others))
        end = await end_of(self._ws)
        self._prompt.show(f"* {describe_close(end)}")
        self._end = end
        self._prompt.end()

    async def _wake(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            self._prompt.wake()
            if self._prompt.backlog <= _BACKLOG:
                self._has_room.set()


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError("hex digits come in pairs: /binary 00 ff") from None
