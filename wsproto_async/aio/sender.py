"""The way out: the cork, the write gate, and whose turn it is to send.

Laws: nothing is written after the transport began to close. While the gate is shut no message is
framed, so what waits for the peer is ``write_limit`` and one message at most, and few writes: each
costs the transport some hundred bytes of its own. Who sends and awaits nothing else gives the loop
a turn now and then, however fast the peer is. What was published to many waits in an outbox then,
and when the gate opens it and those in line take turns.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ..sansio.connection import Connection
from ..sansio.state import OPEN
from .clock import clock_of
from .flow import ReceiveQueue, Waiters
from .outbox import Outbox, Policy
from .thread import current_thread

__all__ = ["Sender"]

_CORK_LIMIT: Final = 65536  # bytes of replies that may wait for each other
_LONG_ON_AVERAGE: Final = 8192  # bytes of a piece, from where on joining costs more
_TURN_BUDGET: Final = 65536  # bytes, with 4 KiB for each write, without a pause
_WRITE_COST: Final = 4096
_FEW_WRITES: Final = 8  # after which the transport is asked if it has sent them
_MAX_WRITES: Final = 24  # that may wait in it
_OUTBOX_FACTOR: Final = 16  # times write_limit may wait for a peer that nobody waits for


class Sender:
    """Writes what ``connection`` has to send to ``transport``.

    While messages in ``unread`` wait for the handler, the replies to them wait for each other and
    go out in one write: when the handler has seen all of them, or at the end of the loop's turn.
    ``bytes_sent`` is what the transport has been given, ``is_gate_shut`` tells if it has too much.
    """

    __slots__ = (
        "_budget",
        "_connection",
        "_in_line",
        "_is_flush_due",
        "_is_outbox_next",
        "_line",
        "_thread",
        "_unread",
        "_waiters",
        "_write_limit",
        "_writes",
        "bytes_sent",
        "is_gate_shut",
        "outbox",
        "transport",
    )

    def __init__(
        self,
        connection: Connection,
        unread: ReceiveQueue,
        write_limit: int,
    ) -> None:
        self._connection = connection
        self._unread = unread
        self._write_limit = write_limit
        self._thread = current_thread()
        self._waiters: Waiters | None = None  # until somebody waits
        self._line: asyncio.Lock | None = None
        self._in_line = 0
        self._is_outbox_next = False
        self._budget = _TURN_BUDGET
        self._writes = 0  # since the transport was seen empty
        self.outbox: Outbox | None = None  # until something waits in it
        self.is_gate_shut = False
        self.bytes_sent = 0
        self._is_flush_due = False
        self.transport: asyncio.Transport | None = None

    def attach(self, transport: asyncio.Transport) -> None:
        """Begin to write to ``transport``; nobody else does."""
        self.transport = transport

    def check_thread(self) -> None:
        """Raise RuntimeError unless this is the thread that the connection was made in."""
        if current_thread() != self._thread:
            raise RuntimeError(
                "called from another thread than the connection's: "
                "see asyncio.run_coroutine_threadsafe() and loop.call_soon_threadsafe()"
            )

    def written(self) -> None:
        """The connection has something to send: write it, or leave it corked."""
        if self._unread.count == 0 or self._connection.output_size >= _CORK_LIMIT:
            self.flush()
        elif not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self.uncork)

    def cork(self) -> None:
        """Let replies wait for each other until the caller says ``uncork``, later in this turn."""
        self._is_flush_due = True
        self._budget = _TURN_BUDGET

    def uncork(self) -> None:
        """Write what has waited."""
        self._is_flush_due = False
        if self._connection.output_size:
            self.flush()

    def flush(self) -> None:
        """Hand all that the connection has to send to the transport."""
        size = self._connection.output_size
        output = self._connection.take_output()
        if len(output) == 1:
            self._write(output[0])
        elif size:
            self._write_pieces(output, size)

    def _write(self, data: bytes) -> None:
        if self._can_write(len(data)):
            assert self.transport is not None
            self.transport.write(data)

    def _can_write(self, size: int) -> bool:
        transport = self.transport
        if transport is None:
            return False
        if transport.is_closing():
            self.is_gate_shut = True  # the network has failed: the end is about to be told
            return False
        self.bytes_sent += size
        self._budget -= size + _WRITE_COST
        self._writes += 1
        if self._writes > _FEW_WRITES and not self.is_gate_shut:
            self._shut_gate_if_many_wait()
        return True

    def _shut_gate_if_many_wait(self) -> None:
        assert self.transport is not None
        if not self.transport.get_write_buffer_size():
            self._writes = 0
        elif self._writes > _MAX_WRITES:
            self.transport.set_write_buffer_limits(high=0)  # paused until all are gone

    def _write_pieces(self, pieces: list[bytes], size: int) -> None:
        if size < len(pieces) * _LONG_ON_AVERAGE:
            self._write(b"".join(pieces))
        elif self._can_write(size):
            assert self.transport is not None
            self.transport.writelines(pieces)

    def shut_gate(self) -> None:
        """The transport holds more than ``write_limit``."""
        self.is_gate_shut = True
        self._connection.hold_pongs = True

    def open_gate(self) -> None:
        """The transport holds little again."""
        self.is_gate_shut = False
        self._connection.hold_pongs = False
        if self._writes > _MAX_WRITES:
            assert self.transport is not None
            self.transport.set_write_buffer_limits(high=self._write_limit)
        self.flush()
        if self.outbox is None or not self._in_line or self._is_outbox_next:
            self._is_outbox_next = False
            self.drain()
            self.wake()
        else:
            self._is_outbox_next = True
            self.wake()
            asyncio.get_running_loop().call_soon(self.drain)

    def wake(self) -> None:
        """Let those who wait look again: a message is complete, or the end has begun."""
        if self._waiters is not None:
            self._waiters.wake()

    async def change(self) -> None:
        """Wait for the next ``wake``, or for the gate to open; the caller looks again."""
        if self._waiters is None:
            self._waiters = Waiters()
        await self._waiters.wait()

    def may_send(self) -> bool:
        """Tell if a message can be sent now, with no wait and between no others' fragments."""
        self.check_thread()
        return not (
            self._in_line
            or self.is_gate_shut
            or self._connection.sending_message
            or self._budget < 0
        )

    async def turn(self) -> None:
        """Wait until a message can be sent, first come, first served.

        The caller sends before it awaits again. Raises ConnectionClosed if the end comes before.
        """
        if self._line is None:
            self._line = asyncio.Lock()
        self._in_line += 1
        try:
            async with self._line:
                while self._must_wait() or self._connection.sending_message:
                    self._connection.check_open()
                    await self._wait()
        finally:
            self._in_line -= 1

    async def gate(self) -> None:
        """Wait until a frame can be sent: a control frame, or a fragment of one's own message.

        Raises ConnectionClosed if the end comes before.
        """
        self.check_thread()
        while self._must_wait():
            self._connection.check_open()
            await self._wait()

    def _must_wait(self) -> bool:
        return self.is_gate_shut or self._budget < 0

    async def _wait(self) -> None:
        if self._budget < 0:
            self._budget = _TURN_BUDGET
            await asyncio.sleep(0)
        else:
            await self.change()

    # What is published to many

    def is_held_up(self) -> bool:
        """Tell if what is published has to wait: for the peer, or for somebody's last fragment."""
        return self.is_gate_shut or self.outbox is not None or self._connection.sending_message

    def push(self, frames: bytes, count: int) -> None:
        """Send ``count`` messages that were framed before. Nothing is held up."""
        self.check_thread()
        if self._connection.is_clear():
            self._connection.messages_sent += count
            self._write(frames)
        else:
            self._connection.messages_sent += count - 1
            self._connection.send_frame(frames)
            self.written()

    def hold(self, frame: bytes, policy: Policy, owner: object) -> None:
        """Let a message that was framed before wait, as its policy allows.

        ``owner`` is who the policy tells of.
        """
        self.check_thread()
        if self.outbox is None:
            clock = clock_of(asyncio.get_running_loop())
            self.outbox = Outbox(self.outbox_limit(), owner, clock)
        held = self.buffered_amount() - self.outbox.size
        self.outbox.put(frame, policy, held, self.outbox.clock())

    def outbox_limit(self) -> int:
        """Return how many bytes may wait for the peer in all, if nobody says otherwise."""
        return _OUTBOX_FACTOR * self._write_limit

    def drain(self) -> None:
        """Send what waits in the outbox, as far as the peer takes it."""
        outbox = self.outbox
        if outbox is None:
            return
        connection = self._connection
        now = outbox.clock()
        while not (self.is_gate_shut or connection.sending_message):
            if connection.state is not OPEN:
                break
            size = 0
            while size < _CORK_LIMIT and (frame := outbox.take(now)) is not None:
                connection.send_frame(frame)
                size += len(frame)
            self.flush()
            if not len(outbox):
                self.outbox = None
                self.wake()
                break

    def empty_outbox(self) -> None:
        """Let what waits in the outbox go before the Close frame that follows."""
        outbox, self.outbox = self.outbox, None
        if outbox is not None and not self._connection.sending_message:
            now = outbox.clock()
            while (frame := outbox.take(now)) is not None:
                self._connection.send_frame(frame)

    def message_sent(self) -> None:
        """A fragmented message is complete, or broken off: it is others' turn."""
        self.drain()
        self.wake()

    def buffered_amount(self) -> int:
        """Return how many bytes were sent and have not left for the network yet."""
        held = self._connection.output_size
        if self.outbox is not None:
            held += self.outbox.size
        return held if self.transport is None else held + self.transport.get_write_buffer_size()
