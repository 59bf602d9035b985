"""asyncio's callbacks <-> sans-IO: what arrives becomes messages, what is sent becomes writes.

Laws: parsing stops when the receive queue is full, and reading with it. In one turn of the loop a
connection gets a budget of work. One read wakes the receiver once. Once the end has begun, the
transport is gone within ``close_timeout``, whatever the network does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

from ..exceptions import ConcurrencyError, InvalidState
from ..sansio.client import ClientConnection
from ..sansio.events import Close, Event, Ping, Pong
from ..sansio.server import ServerConnection
from ..sansio.state import CONNECTING, OPEN
from .arrival import Arrival
from .drive import drive
from .flow import ReceiveQueue
from .keepalive import Keepalive
from .log import who
from .progress import FrameProgress, SendProgress
from .sender import Sender
from .settings import USUAL_WRITE_LIMIT, Settings, Timeouts, changed
from .stream import DROP_LIMIT, StreamProtocol
from .timer import Deadline

if TYPE_CHECKING:
    from ..handshake.http11 import Request, Response
    from .audiences import LocalAudience

__all__ = ["Owner", "ProtocolCore", "WebSocketProtocol"]

_T = TypeVar("_T")

_ANSWER_TIME: Final = 1.0  # seconds to answer what came before a violation
_PENDING_LIMIT: Final = 65536  # bytes that may follow a request before it is answered
_FULL_READ: Final = 2**18  # bytes; after fewer nothing more is there to be read in the same turn
_OPENING: Final = Deadline.OPEN
_ANSWER: Final = Deadline.ANSWER
_CLOSING: Final = Deadline.CLOSE


class Owner(Protocol):
    """Whoever performs the opening handshake: a server or a client."""

    def connection_made(self, protocol: ProtocolCore) -> None: ...

    def handshake_received(self, protocol: ProtocolCore, message: Request | Response) -> None: ...

    def handshake_failed(self, protocol: ProtocolCore) -> None: ...

    def handshake_expired(self, protocol: ProtocolCore) -> None: ...

    def connection_lost(self, protocol: ProtocolCore) -> None: ...


class ProtocolCore(StreamProtocol):
    """One connection: a transport, a sans-IO ``connection``, and ``sender``, its way out."""

    __slots__ = (
        "_arrival",
        "_deadline",
        "_dropped",
        "_is_awaited",
        "_is_behind",
        "_is_ended",
        "_is_over_budget",
        "_owner",
        "_queue",
        "_read_limit",
        "_takes_part",
        "_turn",
        "_was_full_read",
        "admitted_as",
        "audiences",
        "bytes_received",
        "client_address",
        "connection",
        "frame_progress",
        "is_closed_by_user",
        "is_lost",
        "is_opened",
        "is_partly_received",
        "is_reading_paused",
        "keepalive",
        "opened_at",
        "pauses",
        "place",
        "send_progress",
        "sender",
        "settings",
        "spare",
        "task",
        "tick",
        "timer",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(
        self,
        owner: Owner,
        connection: ServerConnection | ClientConnection,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop)
        self._owner = owner
        self.connection = connection
        self._read_limit = settings.read_limit
        connection.partial_limit = settings.read_limit
        self.settings = settings
        self.timer = self._shared.timer
        self._queue = ReceiveQueue(settings.read_limit)
        self._arrival = Arrival(loop)
        self._is_awaited = False
        self._takes_part = False
        self.sender = Sender(connection, self._queue, settings.write_limit)
        self.keepalive = Keepalive()
        self._is_behind = False
        self._is_ended = False
        self._is_over_budget = False
        self._was_full_read = False
        self._turn = 0  # in which it has last been read
        self.frame_progress: FrameProgress | None = None  # while there is a frame to watch
        self.send_progress: SendProgress | None = None
        self.is_reading_paused = False
        self._deadline: Deadline = _OPENING
        self._dropped = 0
        self.tick = 0
        self.place = 0
        self.bytes_received = 0
        self.pauses = 0
        self.admitted_as: str | None = None  # see Admission
        self.audiences: dict[str, LocalAudience] | None = None  # until it subscribes
        self.client_address: tuple[str, int] | None = None  # the peer is a proxy for it
        self.is_closed_by_user = False
        self.opened_at = 0.0
        self.is_lost = False
        self.is_opened = False
        self.is_partly_received = False
        self.spare: object = None  # see calls.pyx
        self.task: asyncio.Task[None] | None = None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.sender.attach(self.transport)
        if self.settings.write_limit != USUAL_WRITE_LIMIT:
            self.transport.set_write_buffer_limits(high=self.settings.write_limit)
        self.set_deadline(self.settings.open_timeout, _OPENING)
        self._owner.connection_made(self)
        self.sender.flush()

    def buffer_updated(self, nbytes: int) -> None:
        self.connection.borrow_data(self._inbox.peek(nbytes), nbytes)
        self._received(nbytes)

    def data_received(self, data: bytes) -> None:
        self.connection.receive_data(data)
        self._received(len(data))

    def _received(self, size: int) -> None:
        self.bytes_received += size
        if (self._is_ended or self.connection.eof_due) and self._has_dropped_too_much(size):
            return
        if not (self._was_full_read or self.is_reading_on):
            turns = self._shared.turns
            self.connection.set_budget(turns.budget)
            if turns.is_long(self.loop) and self._turn == turns.number:
                self._put_off()
                return
            self._turn = turns.number
        self._was_full_read = size >= _FULL_READ
        self.sender.cork()
        try:
            self._parse()
        finally:
            # Before the handler runs: what it does may make another connection read.
            self.connection.return_data()
        self._watch_frame()
        if self._is_awaited and self._has_arrived():
            self._arrival.arrive()  # the handler runs now
        self.sender.uncork()

    def _has_dropped_too_much(self, size: int) -> bool:
        """Count input that nobody looks at; tell if the connection has been aborted for it."""
        self._dropped += size
        if self._dropped <= DROP_LIMIT:
            return False
        self.settings.log.debug("went on sending: %s", who(self))
        self.abort()
        return True

    def _watch_frame(self) -> None:
        """Let a frame that has begun be watched."""
        if (
            self.frame_progress is None
            and self.connection.is_amid_frame()
            and self.is_opened
            and self.settings.frame_timeout is not None
        ):
            self.frame_progress = FrameProgress(self, self.settings.frame_timeout)

    def eof_received(self) -> None:
        self.connection.receive_eof()
        self._parse_and_wake()
        self.begin_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.timer.unset(self)
        if self.frame_progress is not None:
            self.frame_progress.stop()
        if self.send_progress is not None:
            self.send_progress.stop()
        self.frame_progress = self.send_progress = None
        self.connection.receive_eof()
        self._parse_and_wake()
        self._release()
        self._owner.connection_lost(self)

    def pause_writing(self) -> None:
        self.sender.shut_gate()
        if self.send_progress is None and self.settings.send_timeout is not None:
            self.send_progress = SendProgress(self, self.settings.send_timeout)

    def resume_writing(self) -> None:
        self.sender.open_gate()

    # Receiving

    def _parse_and_wake(self) -> None:
        self._parse()
        self._wake_receiver()

    def _parse(self) -> None:
        """Parse until the queue is full or the input used up."""
        connection = self.connection
        queue = self._queue
        while True:
            self._is_behind = queue.is_full() and connection.close_sent is None
            if self._is_behind:
                break
            if connection.close_sent is not None and (
                queue.is_full() or connection.is_partial_held()
            ):
                # After our Close frame, what finds no room is dropped, with what follows it.
                connection.drop_messages = True
                connection.partial_limit = None
            event = connection.next_event()
            if event is None:
                if connection.is_over_budget():
                    self._go_on_soon()
                    break
                if connection.close_sent is not None and connection.is_partial_held():
                    continue
                break
            if isinstance(event, (str, bytes)):
                queue.put(event)
                connection.hold_failure = True
                connection.partial_limit = self._read_limit  # nobody waits for the next
                if connection.is_idle():
                    break
            else:
                self._handle(event)
        if connection.is_failure_held() and self._deadline is not _ANSWER:
            self.set_deadline(_ANSWER_TIME, _ANSWER)
        if connection.output_size:
            self.sender.written()
        self._control_reading()

    def _put_off(self) -> None:
        """Look at what has been read in the next turn of the loop, and read no more until then."""
        self.connection.return_data()
        if not self._is_over_budget:
            self._is_over_budget = True
            self.loop.call_soon(self.go_on, self._shared.turns.budget)
            self._control_reading()

    def _go_on_soon(self) -> None:
        """The rest of the input waits for the next turn of the loop, and reading with it."""
        if not self._is_over_budget:
            self._is_over_budget = True
            self._shared.turns.wait(self)

    def go_on(self, budget: int) -> None:
        """It is this connection's turn."""
        self._is_over_budget = False
        self.connection.set_budget(budget)
        self.sender.cork()
        self._parse()
        if self._is_awaited and self._has_arrived():
            self._arrival.arrive()
        self.sender.uncork()

    def _handle(self, event: Event) -> None:
        if isinstance(event, Pong):
            self.keepalive.pong_received(self, event.payload)
        elif isinstance(event, Close):
            self._is_ended = True
            if not self.is_opened:
                self._owner.handshake_failed(self)
            self._release()
            self.begin_end()
        elif not isinstance(event, (Ping, str, bytes)):
            self._owner.handshake_received(self, event)

    def _has_arrived(self) -> bool:
        """Tell if what is awaited is there: a message, a part of one, or the end."""
        if self._queue.count or self._is_ended:
            return True
        return self._takes_part and self.connection.buffered_message() > 0

    def _wake_receiver(self) -> None:
        if self._is_awaited and self._has_arrived():
            self._arrival.arrive_soon()

    def _control_reading(self) -> None:
        """Pause reading while what has arrived is more than anybody takes."""
        connection = self.connection
        if connection.state is OPEN:
            # recv() wants the message whole; else its pieces wait until somebody asks.
            wanted = self._is_awaited and not self._takes_part
            too_much = self._is_behind or (not wanted and connection.is_partial_held())
        elif connection.state is CONNECTING:
            # A response that a client reads bounds itself, and is taken when it is complete.
            too_much = (
                isinstance(connection, ServerConnection) and connection.buffered > _PENDING_LIMIT
            )
        else:
            too_much = False  # what still comes is dropped, and the peer's end of it awaited
        too_much = too_much or self._is_over_budget
        if too_much is self.is_reading_paused or self.transport.is_closing():
            return
        self.is_reading_paused = too_much
        self.pauses += 1
        if too_much:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
            self._watch_frame()  # while nothing was read the peer could not go on

    def pause_while_unread(self) -> None:
        """Read no more before somebody waits for a message, if one is there that nobody took."""
        if (
            self._queue.count
            and self.connection.state is OPEN
            and not (self.is_reading_paused or self.transport.is_closing())
        ):
            self.is_reading_paused = True
            self.pauses += 1
            self.transport.pause_reading()

    def resume_when_read(self) -> None:
        """Undo ``pause_while_unread`` if nothing waits any more."""
        if self.is_reading_paused and not self._queue.count:
            self._control_reading()

    def read_on(self) -> None:
        """Undo ``pause_while_unread`` at any rate; what else is against reading stays."""
        self._control_reading()

    def wake_receiver(self) -> None:
        """Let who waits for a message look again."""
        if self._is_awaited:
            self._arrival.arrive_soon()

    def begin_wait(self, part: bool = False) -> Arrival:
        """Return what to await for a message, with ``part`` for a part of one, or for the end.

        ``has_message`` has been asked before, and nothing been awaited since. ``end_wait`` follows.
        """
        connection = self.connection
        connection.hold_failure = False
        self._is_awaited = True
        self._takes_part = part
        if not part:
            connection.partial_limit = None  # the message is wanted whole
        if connection.is_failure_held() or (not part and connection.buffered_message()):
            self._parse()
        if connection.output_size:
            self.sender.flush()
        self._control_reading()
        # Of a part that is held the caller had what can be given out: half a character may be left.
        self._arrival.begin(self._queue.count > 0 or self._is_ended)
        return self._arrival

    def end_wait(self) -> None:
        """The wait is over, whatever came of it."""
        self._is_awaited = False
        self.connection.partial_limit = self._read_limit

    def has_message(self, part: bool = False) -> bool:
        """Tell if a message has arrived, with ``part`` if it is wanted part by part.

        Raises ConcurrencyError if a task waits for input already, ConnectionClosed when there
        will be no more messages, and InvalidState before the opening handshake has completed or
        for what was begun in parts.
        """
        self.sender.check_thread()
        if self._is_awaited:
            raise ConcurrencyError("another task is receiving from this connection already")
        if not self._queue.count:
            if self._is_ended:
                raise self.connection.closed_error()
            if not self.is_opened:
                self.connection.check_open()
        if self.is_partly_received and not part:
            raise InvalidState("recv_streaming() has begun a message: it has to end it")
        return self._queue.count > 0

    def is_over(self) -> bool:
        """Tell if there will be no more messages, and nothing to complain of."""
        return self._is_ended and not self._queue.count and self.connection.is_closed_ok()

    def peek_message(self) -> str | bytes:
        """Return the oldest message and leave it where it is."""
        return self._queue.peek()

    def take_message(self) -> str | bytes:
        """Take the oldest message."""
        message = self._queue.get()
        if self._is_behind and self._queue.is_low():
            self._parse()
        return message

    def take_part(self) -> str | bytes:
        """Take what is there of an unfinished message; empty if nothing is."""
        part = self.connection.take_partial()
        self._parse()  # what did not come in beside it
        return part

    def messages_received(self) -> int:
        """Return how many messages have arrived."""
        return self._queue.total

    def drive(self, handler: Awaitable[_T]) -> Awaitable[_T]:
        """Return what to await for a handler of this connection."""
        return drive(handler, self._arrival)

    # Deadlines

    def now(self) -> float:
        """Return the time in seconds: the loop's, but finer."""
        return self._shared.now()

    def set_deadline(self, delay: float | None, deadline: Deadline) -> None:
        """Set the connection's deadline ``delay`` seconds from now; None: there is none."""
        if delay is None:
            self.timer.unset(self)
        else:
            self._deadline = deadline
            self.timer.set(self, delay)

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Go by other timeouts from now on."""
        self.settings = changed(self.settings, timeouts)
        if self.is_opened and (not self.tick or self._deadline is Deadline.PING):
            self.keepalive.schedule(self)

    def deadline_reached(self) -> None:
        match self._deadline:
            case Deadline.OPEN:
                self._owner.handshake_expired(self)
            case Deadline.ANSWER:
                self._fail()
            case Deadline.CLOSE:
                self.settings.log.debug("close timeout: %s", who(self))
                self.abort()
            case Deadline.PING:
                self.keepalive.send_ping(self)
            case Deadline.PONG:
                self.keepalive.judge(self)

    def handshake_completed(self) -> None:
        """The connection is open: frames that came with the handshake are parsed from now on."""
        self.is_opened = True
        self.opened_at = self.now()
        self.keepalive.schedule(self)
        self.sender.flush()
        self._parse_and_wake()
        self._watch_frame()

    # The end

    def _fail(self) -> None:
        """Fail the connection for a violation, now that what came before it has been answered."""
        self.connection.hold_failure = False
        self._parse_and_wake()

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, or abort what has not been opened; do nothing if closing."""
        if self.connection.is_failure_held():
            self._fail()
        if self.connection.state is OPEN:
            self.sender.empty_outbox()
            self.connection.send_close(code, reason)
            self.sender.wake()
            self.begin_end()
            self._parse_and_wake()
        elif self.connection.state is CONNECTING:
            self.abort()

    def begin_end(self) -> None:
        """Write what is left and set the last deadline."""
        if self.is_lost:
            return
        self.sender.flush()
        self._control_reading()
        if self._deadline is not _CLOSING:
            self.set_deadline(self.settings.close_timeout, _CLOSING)
            self._deadline = _CLOSING
        if self.connection.eof_due and not self.transport.is_closing():
            self.end_output()

    def end_output(self) -> None:
        """All is written. Half-closing lets the peer read our last words before it closes.

        Until then input is dropped.
        """
        try:
            if self.transport.can_write_eof():
                self.transport.write_eof()
            else:
                self.transport.close()
        except OSError:  # the peer has reset the connection
            self.transport.abort()

    def abort(self) -> None:
        """Drop the connection now, with what is still to be written."""
        if not self.is_lost:
            self.timer.unset(self)
            self.connection.receive_eof()
            self.transport.abort()

    def _release(self) -> None:
        """Nobody needs to wait any longer."""
        self._wake_receiver()
        self.sender.wake()
        if self.keepalive.is_waited_for():
            self.keepalive.fail(self.connection.closed_error())

    async def wait_lost(self) -> None:
        """Wait until the transport is gone."""
        while not self.is_lost:
            await self.sender.change()


class WebSocketProtocol(ProtocolCore, asyncio.BufferedProtocol):
    """What a transport is given. The core is compiled, and so inherits from nothing that is not."""

    __slots__ = ()
