"""TLS between a stream transport and a protocol: below it is a protocol, above it a transport.

Laws: what is written is encrypted at once, so all that waits for the peer waits in the transport
below. What is read is decrypted record by record, and no further while reading is paused. OpenSSL
gets it in pieces that keep its buffers small.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final, cast

from .stream import DROP_LIMIT, StreamProtocol

__all__ = ["TLSCore", "TLSTransport"]

# A MemoryBIO keeps the most that it ever held, and a third more. A record holds up to 16 KiB.
_RECORD: Final = 14336  # bytes that are encrypted at once: 64 KiB are five records either way
_HEADER: Final = 5  # bytes before a record's own
_MAX_LENGTH: Final = 2**14 + 2048  # of a record, encrypted (RFC 5246 6.2.3)
_MAX_ANSWERS: Final = 4096  # bytes of OpenSSL's own for a peer that does not read


class TLSCore(StreamProtocol):
    """What ``protocol`` has as its transport; ``opened`` is done when TLS's handshake is.

    The protocol's connection is made when that of this one is. What is written before the end of
    the handshake waits for it. An end without close_notify is the end of the stream as well: what
    makes a WebSocket's end a clean one is its Close frames.
    """

    __slots__ = (
        "_context",
        "_dropped",
        "_error",
        "_held",
        "_held_from",
        "_incoming",
        "_is_closing",
        "_is_ended",
        "_is_going_on",
        "_is_open",
        "_is_paused",
        "_missing",
        "_outgoing",
        "_protocol",
        "_tls",
        "_transport",
        "_unsent",
        "opened",
    )

    _transport: asyncio.Transport

    def __init__(
        self,
        protocol: StreamProtocol,
        context: ssl.SSLContext,
        server_hostname: str | None = None,
        opened: asyncio.Future[None] | None = None,
    ) -> None:
        """``opened`` makes it a client's, of the server ``server_hostname``."""
        super().__init__(protocol.loop)
        self._protocol: StreamProtocol | None = protocol
        self._context = context
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=opened is None,
            server_hostname=server_hostname,
        )
        self.opened = opened
        self._held = b""  # read; from ``_held_from`` on not given to OpenSSL yet
        self._held_from = 0
        self._missing = 0  # bytes of the record that OpenSSL has the beginning of
        self._unsent: list[bytes] | None = []  # until the handshake is done
        self._dropped = 0
        self._error: Exception | None = None
        self._is_open = False
        self._is_paused = False
        self._is_going_on = False
        self._is_ended = False
        self._is_closing = False

    # Called by the transport below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        assert self._protocol is not None
        self._protocol.connection_made(cast(asyncio.Transport, self))
        if not self._is_closing:
            self._go_on()  # a client begins

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_closing:  # all that is waited for is the end
            self._dropped += nbytes
            if self._dropped > DROP_LIMIT:
                self.abort()
            return
        # The inbox is about to be used for what becomes of it.
        data = bytes(self._inbox.view[:nbytes])
        self._held = self._held[self._held_from :] + data if self._held else data
        self._held_from = 0
        self._go_on()

    def eof_received(self) -> None:
        if self._is_closing:
            self._is_ended = True
        elif self._is_open:
            self._end_input()
        else:
            self._fail(ConnectionResetError("connection closed during the TLS handshake"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._is_ended = True
        self._held = b""
        self._unsent = None
        error = self._error or exc
        protocol, self._protocol = self._protocol, None
        if self.opened is not None and not self.opened.done():
            self.opened.set_exception(error or ConnectionAbortedError("connection lost"))
            self.opened.exception()  # nobody may wait for it any more
        if protocol is not None:
            protocol.connection_lost(error)

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._send()
            self._protocol.resume_writing()

    # Reading

    def _go_on(self) -> None:
        """Bring the handshake forward, then decrypt, until more is needed or reading is paused."""
        protocol = self._protocol
        if protocol is None or self._is_going_on:
            return
        self._is_going_on = True
        protocol.is_reading_on = self.is_reading_on
        try:
            while not self._is_closing and not (self._is_paused and self._is_open):
                if not self._is_open:
                    if not self._shake_hands() and not self._feed():
                        break
                elif (self._missing or not self._incoming.pending) and not self._feed():
                    break
                elif not self._missing:
                    size = self._decrypt()
                    if size > 0:
                        protocol.buffer_updated(size)
                        protocol.is_reading_on = True
        finally:
            self._is_going_on = False
            protocol.is_reading_on = False
        if self._outgoing.pending and not self._is_closing:
            self._answer()

    def _feed(self) -> bool:
        """Give OpenSSL what is held of one record; tell if there was any.

        It is asked for what is in a record when all of it is there: to say no takes it longer than
        to decrypt.
        """
        held, start = self._held, self._held_from
        rest = len(held) - start
        if not self._missing:
            if rest < _HEADER:
                self._held = held[start:]
                self._held_from = 0
                return False
            length = held[start + 3] << 8 | held[start + 4]
            self._missing = _HEADER + length
            if not 20 <= held[start] <= 23 or held[start + 1] != 3 or length > _MAX_LENGTH:
                self._missing = rest  # no record: OpenSSL may say so at once
        size = min(self._missing, rest)
        if not size:
            return False
        self._incoming.write(memoryview(held)[start : start + size])
        self._missing -= size
        self._held_from = start + size
        if size == rest:
            self._held = b""
            self._held_from = 0
        return True

    def _shake_hands(self) -> bool:
        """Tell if the handshake is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return False
        except (OSError, ValueError) as error:
            self._fail(error)
            return False
        self._is_open = True
        unsent, self._unsent = self._unsent, None
        self.writelines(unsent or [])
        self._send()
        if self.opened is not None and not self.opened.done():
            self.opened.set_result(None)
        return True

    def _decrypt(self) -> int:
        """Return how many bytes of a record came into the inbox: 0 if more must be read for it."""
        try:
            size = cast(int, self._tls.read(len(self._inbox.view), self._inbox.view))
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLZeroReturnError:
            size = 0
        except OSError as error:
            self._fail(error)
            return 0
        if not size:
            self._end_input()
        return size

    def _end_input(self) -> None:
        """The peer's side of the stream is at its end."""
        self._is_ended = True
        if self._protocol is not None:
            self._protocol.eof_received()
        self.close()

    def pause_reading(self) -> None:
        self._is_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._is_paused and not self._is_closing:
            self._is_paused = False
            # Not within the callback of another connection.
            self.loop.call_soon(self._resume)

    def _resume(self) -> None:
        if not self._is_paused:
            try:
                self._go_on()
            except BaseException:
                self.abort()
                raise
        if not self._is_paused and not self._transport.is_closing():
            self._transport.resume_reading()  # if only to see the end

    # Writing

    def write(self, data: bytes) -> None:
        self.writelines([data])

    def writelines(self, pieces: list[bytes]) -> None:
        if self._is_closing:
            return
        if not self._is_open:
            if self._unsent is not None:
                self._unsent += pieces
            return
        try:
            records = self._encrypt(pieces)
        except OSError as error:
            self._fail(error)
            return
        if len(records) == 1:
            self._transport.write(records[0])
        elif records:
            self._transport.writelines(records)

    def _encrypt(self, pieces: list[bytes]) -> list[bytes]:
        records: list[bytes] = []
        for piece in pieces:
            size = len(piece)
            start = self._tls.write(piece) if 0 < size <= _RECORD else 0
            while start < size:
                start += self._tls.write(memoryview(piece)[start : start + _RECORD])
                if start < size:
                    records.append(self._outgoing.read())
            if self._outgoing.pending:
                records.append(self._outgoing.read())
        return records

    def _send(self) -> None:
        """Send what OpenSSL has to say."""
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _answer(self) -> None:
        """Send what OpenSSL says to what has been read, as long as the peer reads it.

        New keys may also wait for what is sent next (RFC 8446 4.6.3).
        """
        if not self._transport.get_write_buffer_size():
            self._send()
        elif self._outgoing.pending > _MAX_ANSWERS:
            self.abort()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high=high)

    def get_write_buffer_size(self) -> int:
        waiting = sum(map(len, self._unsent or ())) + self._outgoing.pending
        return waiting + self._transport.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        return False

    # The end

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        """Send close_notify and end our side; drop what comes until the peer has ended its own.

        The protocol bounds that by ``abort``.
        """
        if self._is_closing:
            return
        self._is_closing = True
        self._held = b""
        if not self._is_open:
            self._transport.close()
            return
        with suppress(OSError, ValueError):  # it wants the peer's as well
            self._tls.unwrap()
        self._hang_up()

    def abort(self) -> None:
        self._is_closing = True
        self._held = b""
        self._transport.abort()

    def _fail(self, error: Exception) -> None:
        """The peer has broken TLS, or we have no answer to it: send the alert and end."""
        if self._is_closing:
            return
        self._error = error
        self._is_closing = True
        self._is_ended = not self._is_open  # else it may still read
        self._held = b""
        self._hang_up()
        if self._is_open and self._protocol is not None:
            self._protocol.eof_received()  # sets the last deadline

    def _hang_up(self) -> None:
        self._send()
        transport = self._transport
        if self._is_ended or not transport.can_write_eof():
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:  # the peer has reset the connection
            transport.abort()
            return
        if self._is_paused:
            self._is_paused = False
            self.loop.call_soon(self._resume)

    def set_protocol(self, protocol: StreamProtocol) -> None:
        self._protocol = protocol

    # What it is

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._context
        if name in ("peercert", "cipher", "compression"):
            if not self._is_open:
                return default
            return self._tls.getpeercert() if name == "peercert" else getattr(self._tls, name)()
        return self._transport.get_extra_info(name, default)


class TLSTransport(TLSCore, asyncio.BufferedProtocol):
    """What the transport below is given; for the core see :class:`~.protocol.WebSocketProtocol`."""

    __slots__ = ()
