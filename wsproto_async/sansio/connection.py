"""What both ends of a connection have in common: frames in, events out, after the handshake.

Laws: receiving never raises. After a failure one Close frame has been put in line and all further
input is dropped. ``close_sent`` and ``close_received`` are set once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..codec.close import Close, decode_close, encode_close
from ..codec.frames import encode_frame, encode_header
from ..codec.opcodes import OP_BINARY, OP_CLOSE, OP_CONTINUATION, OP_PING, OP_PONG, OP_TEXT
from ..codec.parser import MAX_PAYLOAD, FrameParser
from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
    ProtocolError,
    WebSocketError,
)
from ..extensions.base import Codec
from ..handshake.body import BodyReader
from ..handshake.http11 import HeadReader
from .events import Event, Ping, Pong
from .messages import ENCODED_STEP, MessageAssembler
from .state import CONNECTING, OPEN, Cause, Lifecycle

__all__ = ["Connection"]

_FRAME_COST: Final = 4096  # of the budget, beside the payload
_LONG_PIECE: Final = 16384  # bytes of payload, from where on they are not copied into a frame
_OK_CODES: Final = (1000, 1001, 1005)
_CLOSE_SENT: Final = Cause.CLOSE_SENT
_EOF: Final = Cause.EOF


class Connection(Lifecycle):
    """A connection without IO; use :class:`ServerConnection` or :class:`ClientConnection`.

    ``max_size`` bounds a message in bytes and ``max_fragments`` in frames; None lifts a limit.

    ``codec`` is that of the extension agreed on, None if there is none or it has no more use.
    ``output_size`` is how many bytes ``data_to_send`` would give; ``sending_message`` tells if a
    fragmented message has been begun and not finished.
    ``close_sent`` and ``close_received`` are the Close frames seen so far, ``error`` says why the
    connection failed, if it did. When ``eof_due`` is True, the caller shuts the writing side
    of the byte stream down after it has written what ``data_to_send`` gives.
    While ``hold_pongs`` is True only the latest Ping is remembered, and answered once it is False
    again (RFC 6455 5.5.3): for a caller that cannot write at the moment. While ``hold_failure`` is
    True a violation ends the input, but the Close frame waits until it is False again: for a
    caller that has messages from before it to answer.
    ``partial_limit`` is how much of an unfinished message may be held, None for all of it:
    parsing an encoded one stops there until ``take_partial`` is called. While ``drop_messages`` is
    True messages are passed over unseen: for a caller that waits for the end.
    ``frames`` is how many frames have begun to arrive, ``messages_sent`` how many messages were
    sent whole.
    """

    __slots__ = (
        "_assembler",
        "_ended",
        "_eof",
        "_failure",
        "_held_pong",
        "_hold_pongs",
        "_http",
        "_is_client",
        "_is_encoding",
        "_is_shaking_hands",
        "_output",
        "_parser",
        "close_received",
        "close_sent",
        "codec",
        "drop_messages",
        "eof_due",
        "error",
        "frames",
        "hold_failure",
        "messages_sent",
        "output_size",
        "partial_limit",
        "received_first",
        "sending_message",
    )

    def __init__(self, *, is_client: bool, max_size: int | None, max_fragments: int | None) -> None:
        super().__init__()
        self._is_client = is_client
        self._http: HeadReader[Any] | BodyReader | None = None
        self._parser = FrameParser(masked=not is_client)
        self._assembler = MessageAssembler(max_size, max_fragments)
        self._output: list[bytes] | None = None  # while there is none
        self._is_encoding = False
        self._is_shaking_hands = True
        self._hold_pongs = False
        self._held_pong: bytes | None = None
        self._ended = False
        self._eof = False
        self._failure: ProtocolError | None = None
        self.codec: Codec | None = None
        self.hold_failure = False
        self.partial_limit: int | None = None
        self.drop_messages = False
        self.eof_due = False
        self.error: WebSocketError | None = None
        self.close_sent: Close | None = None
        self.close_received: Close | None = None
        self.received_first = False
        self.output_size = 0
        self.sending_message = False
        self.frames = 0
        self.messages_sent = 0

    # Input

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the peer. They are parsed by ``events``."""
        if self._ended or self._failure is not None:
            return
        if self._http is not None:
            self._http.feed(data)
        else:
            self._parser.feed(data if type(data) is bytes else bytes(data))

    def borrow_data(self, data: bytes, size: int) -> None:
        """Take the first ``size`` bytes of ``data``, which may change after ``return_data``."""
        if self._ended or self._failure is not None:
            return
        if self._http is not None:
            self._http.feed(data[:size])
        else:
            self._parser.borrow(data, size)

    def return_data(self) -> None:
        """Keep a copy of what has not been parsed of the data that was borrowed."""
        self._parser.keep()

    def receive_eof(self) -> None:
        """Take note that the peer sends no more; the state is CLOSED from now on.

        What arrived before can still be had from ``events``.
        """
        self._eof = True
        self._advance(_EOF)

    @property
    def buffered(self) -> int:
        """How many received bytes are held that no event has brought yet."""
        http = 0 if self._http is None else self._http.buffered
        return http + self._parser.buffered() + self._assembler.buffered()

    def buffered_message(self) -> int:
        """How many bytes of an unfinished message are held."""
        return self._assembler.buffered()

    def events(self) -> Iterator[Event]:
        """Parse what was received and iterate over what it means.

        Stop iterating, and parsing stops with it: the rest waits as bytes. The last event is
        always a :class:`Close`.
        """
        return iter(self.next_event, None)

    def next_event(self) -> Event | None:
        """Return the next event, None if there is none before more is received."""
        if self._ended:
            return None
        event: Event | None = None
        if self._failure is None:
            try:
                event = self._parse_handshake() if self._is_shaking_hands else self._parse()
            except ProtocolError as exc:
                self._failure = exc
        if self._failure is not None:
            hold = self.hold_failure and self.state is OPEN
            return None if hold else self._fail(self._failure)
        if event is None and self._eof and self._assembler.budget >= 0:
            return self._end(Close(1006))
        return event

    def set_budget(self, size: int) -> None:
        """Bound what ``next_event`` does until this is called again, so that others get a turn.

        A byte of payload costs 1, one that was decoded another, and a frame 4096, or what has come
        of it. When that is spent, what else was received waits. At first there is no bound.
        """
        self._assembler.budget = size

    def is_over_budget(self) -> bool:
        """Tell if received bytes wait for ``set_budget``."""
        return self._assembler.budget < 0

    def is_idle(self) -> bool:
        """Tell if there is nothing that ``next_event`` would look at before more is received."""
        return not (
            self._parser.buffered()
            or self._eof
            or self._is_shaking_hands
            or self._failure is not None
            or self._assembler.is_encoded
        )

    def is_amid_frame(self) -> bool:
        """Tell if a frame has begun of which the rest has not been received, or not been parsed."""
        return self._parser.in_frame or self._parser.buffered() > 0

    def is_failure_held(self) -> bool:
        """Tell if a violation waits for ``hold_failure`` to be False."""
        return self._failure is not None and not self._ended

    def is_partial_held(self) -> bool:
        """Tell if an unfinished message has reached ``partial_limit``."""
        limit = self.partial_limit
        return limit is not None and self._assembler.buffered() >= limit

    def take_partial(self) -> str | bytes:
        """Give out what is held of an unfinished message, so that it need not be held whole.

        Empty if nothing is; text comes in whole characters. The event that ends the message
        brings its rest.
        """
        return self._assembler.take()

    def _use_extension(self, codec: Codec | None) -> None:
        self.codec = self._assembler.codec = codec
        if codec is not None:
            self._parser.allow_rsv(codec.rsv)

    def _parse_handshake(self) -> Event | None:
        """Parse the opening handshake, which comes before the frames: see the subclasses."""

    def _http_ended(self, rest: bytes) -> None:
        """The opening handshake has taken its part of the input; ``rest`` are frames."""
        self._parser.feed(rest)
        self._http = None

    def _parse(self) -> Event | None:
        assembler = self._assembler
        try:
            event = self._parse_frames()
        except ProtocolError:
            # What is wrong with a payload comes before what is wrong behind it.
            assembler.budget = MAX_PAYLOAD
            assembler.settle()
            raise
        if event is None and not assembler.is_decoding:
            assembler.settle()
        return event

    def _parse_frames(self) -> Event | None:
        parser = self._parser
        assembler = self._assembler
        while assembler.budget >= 0:
            if assembler.is_decoding:
                if self.drop_messages:
                    assembler.discard()
                    continue
                message = assembler.decode()
                if message is not None:
                    return message
                continue
            if not parser.in_frame:
                if not parser.read_header():
                    return None
                self.frames += 1
                if parser.opcode < OP_CLOSE and not self.drop_messages:
                    assembler.begin_frame(parser.opcode, parser.remaining, parser.rsv != 0)
            limit = MAX_PAYLOAD
            if parser.opcode >= OP_CLOSE:
                assembler.settle()
                if assembler.is_decoding:
                    continue
            elif assembler.is_encoded:
                if self.is_partial_held():
                    return None
                limit = ENCODED_STEP
            payload = parser.read_payload(limit)
            if payload is None:
                return None
            assembler.budget -= len(payload) + _FRAME_COST
            if parser.opcode >= OP_CLOSE:
                return self._receive_control(parser.opcode, payload)
            if self.drop_messages:
                assembler.discard()
                continue
            message = assembler.add(payload, parser.fin and not parser.in_frame)
            if message is not None:
                return message
        return None

    def _receive_control(self, opcode: int, payload: bytes) -> Event:
        if opcode == OP_PING:
            if self._hold_pongs:
                self._held_pong = payload
            elif self.state is OPEN:
                self._send_frame(OP_PONG, payload)
            return Ping(payload)
        if opcode == OP_PONG:
            return Pong(payload)
        close = decode_close(payload)
        self.close_received = close
        if self.state is OPEN:
            self.received_first = True
            self._send_close(close)
        # RFC 6455 7.1.1: the server closes the TCP connection first.
        self.eof_due = not self._is_client
        return self._end(close)

    def _fail(self, error: ProtocolError) -> Close:
        """Fail the connection (RFC 6455 7.1.7)."""
        self.error = error
        if self.state is OPEN:
            self._send_close(Close(error.code, str(error)))
        self.eof_due = True
        return self._end(Close(1006))

    def _end(self, close: Close) -> Close:
        self._ended = True
        self._http = None
        self._parser.discard()
        self._assembler.discard()
        self.codec = None
        return close

    # Output

    @property
    def hold_pongs(self) -> bool:
        """See the class."""
        return self._hold_pongs

    @hold_pongs.setter
    def hold_pongs(self, hold: bool) -> None:
        self._hold_pongs = hold
        if not hold and self._held_pong is not None:
            payload, self._held_pong = self._held_pong, None
            if self.state is OPEN:
                self._send_frame(OP_PONG, payload)

    def data_to_send(self) -> bytes:
        """Take the bytes to write to the peer; empty if there are none."""
        output = self.take_output()
        return output[0] if len(output) == 1 else b"".join(output)

    def take_output(self) -> list[bytes]:
        """Take what ``data_to_send`` would give, in the pieces it is made of."""
        output = self._output
        if output is None:
            return []
        self._output = None
        self.output_size = 0
        return output

    def send_text(
        self, text: str | bytes, *, fin: bool = True, compress: bool | None = None
    ) -> None:
        """Send a text message, or with ``fin=False`` its first fragment; bytes must be UTF-8.

        ``compress`` says if the message goes through the extension agreed on; None leaves it to
        the extension. Raises ConnectionClosed, InvalidState, and UnicodeEncodeError for a lone
        surrogate.
        """
        payload = text.encode() if isinstance(text, str) else text
        self.send_message(OP_TEXT, payload, fin, compress)

    def send_binary(self, data: bytes, *, fin: bool = True, compress: bool | None = None) -> None:
        """Send a binary message, or with ``fin=False`` its first fragment.

        ``compress`` is as for ``send_text``. Raises ConnectionClosed and InvalidState.
        """
        self.send_message(OP_BINARY, data, fin, compress)

    def send_continuation(self, data: bytes, *, fin: bool) -> None:
        """Send a further fragment of the message begun, the last one with ``fin=True``.

        Raises ConnectionClosed, and InvalidState if no message has been begun.
        """
        self.check_open()
        if not self.sending_message:
            raise InvalidState("no fragmented message is being sent")
        if self._is_encoding:
            assert self.codec is not None
            data = self.codec.encode(data, fin)
        self._send_frame(OP_CONTINUATION, data, fin)
        self._message_sent(fin)

    def send_message(
        self, opcode: int, payload: bytes, fin: bool = True, compress: bool | None = None
    ) -> None:
        """Send what ``send_text`` or ``send_binary`` would, as ``opcode`` says."""
        self.check_open()
        self._check_no_message()
        rsv = 0
        codec = self.codec
        if codec is not None:
            self._is_encoding = codec.wants(payload) if compress is None else compress
            if self._is_encoding:
                payload = codec.encode(payload, fin)
                rsv = codec.rsv
        self._send_frame(opcode, payload, fin, rsv)
        self._message_sent(fin)

    def _message_sent(self, fin: bool) -> None:
        self.sending_message = not fin
        self.messages_sent += fin

    def _check_no_message(self) -> None:
        if self.sending_message:
            raise InvalidState("a fragmented message is being sent: finish it first")

    def send_ping(self, payload: bytes = b"") -> None:
        """Send a Ping; raises ConnectionClosed, and ValueError for over 125 bytes."""
        self._send_control(OP_PING, payload)

    def send_pong(self, payload: bytes = b"") -> None:
        """Send an unsolicited Pong; raises ConnectionClosed, and ValueError for over 125 bytes."""
        self._send_control(OP_PONG, payload)

    def _send_control(self, opcode: int, payload: bytes) -> None:
        if len(payload) > 125:
            raise ValueError(f"payload has {len(payload)} bytes, a control frame holds 125")
        self.check_open()
        self._send_frame(opcode, payload)

    def send_close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake.

        Raises ConnectionClosed, InvalidState while CONNECTING, and ValueError for a code that
        may not be sent or a reason over 123 bytes of UTF-8.
        """
        encode_close(code, reason)
        self.check_open()
        self._send_close(Close(code, reason))

    def _send_close(self, close: Close) -> None:
        self.close_sent = close
        # 1005 stands for a Close frame without a code, and is answered by another.
        payload = b"" if close.code == 1005 else encode_close(close.code, close.reason)
        self._send_frame(OP_CLOSE, payload)
        self._advance(_CLOSE_SENT)

    def _send_frame(self, opcode: int, payload: bytes, fin: bool = True, rsv: int = 0) -> None:
        if self._is_client or len(payload) < _LONG_PIECE:
            self._write(encode_frame(opcode, payload, self._is_client, fin, rsv))
        else:
            self._write(encode_header(opcode, len(payload), fin, rsv))
            self._write(payload)

    def send_frame(self, frame: bytes) -> None:
        """Send one message that was framed before, and masked if this end is a client's.

        Raises ConnectionClosed, and InvalidState between the fragments of another message.
        """
        self.check_open()
        self._check_no_message()
        self._write(frame)
        self.messages_sent += 1

    def is_clear(self) -> bool:
        """Tell if nothing waits to be sent and no fragmented message has been begun."""
        return self._output is None and not self.sending_message

    def _write(self, data: bytes) -> None:
        if self._output is None:
            self._output = [data]
        else:
            self._output.append(data)
        self.output_size += len(data)

    # The end

    def check_open(self) -> None:
        """Raise ConnectionClosed unless the connection is open, InvalidState if not yet."""
        if self.state is OPEN:
            return
        if self.state is CONNECTING:
            raise InvalidState("the opening handshake has not completed")
        raise self.closed_error()

    def closed_error(self) -> ConnectionClosed:
        """Return the exception that tells how the connection ended."""
        kind = ConnectionClosedOK if self.is_closed_ok() else ConnectionClosedError
        return kind(self.close_received, self.close_sent, received_first=self.received_first)

    def is_closed_ok(self) -> bool:
        """Tell if both sides have sent a Close frame, and none that tells of an error."""
        received, sent = self.close_received, self.close_sent
        if received is None or sent is None:
            return False
        return received.code in _OK_CODES and sent.code in _OK_CODES
