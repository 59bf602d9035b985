"""What calls.py describes, in C."""

from warnings import warn

from .data import convert
from .fragments import send_fragments

from .arrival cimport Arrival
from .call cimport Call, set_am_send
from .data cimport OP_BINARY, OP_TEXT, encode_data, is_data
from .protocol cimport ProtocolCore
from .sender cimport Sender

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(object thing)

__all__ = ["receive_message", "receive_next", "send_message"]


# A coroutine that is done and that nobody else holds is used again: making one takes as long as
# what it does. A connection keeps its last Receive, all connections together the last Send.
cdef int _HELD_HERE_ONLY = 2  # by the one who keeps it, and by the variable
cdef Send _spare = None


cdef class Receive(Call):
    cdef ProtocolCore _protocol
    cdef object _decode
    cdef bint _is_iteration
    cdef bint _is_waiting

    # Not __dealloc__: the garbage collector may have taken the protocol apart before that.
    def __del__(self):
        if self._is_waiting:
            self.give_up()
        elif not self.is_begun:
            warn("coroutine 'WebSocket.recv' was never awaited", RuntimeWarning)

    cdef bint step(self) except -1:
        cdef ProtocolCore protocol = self._protocol
        cdef Arrival arrival
        self.give_up()
        try:
            while True:
                if self._is_iteration and protocol.is_over():
                    raise StopAsyncIteration
                if protocol.has_message():
                    break
                arrival = protocol.begin_wait()
                if arrival._asyncio_future_blocking:
                    self._is_waiting = True
                    self.value = arrival
                    return True
                protocol.end_wait()
        except BaseException:
            self._protocol = None
            raise
        if self._decode is None:
            self.value = protocol.take_message()
        else:
            self.value = convert(protocol.peek_message(), self._decode)  # may raise
            protocol.take_message()
        self._protocol = None
        protocol.spare = self
        return False

    cdef give_up(self):
        if self._is_waiting:
            self._is_waiting = False
            self._protocol.end_wait()


cdef Receive new_receive(ProtocolCore protocol):
    spare = protocol.spare
    cdef Receive call
    if spare is not None and Py_REFCNT(spare) == _HELD_HERE_ONLY:
        call = <Receive>spare
        protocol.spare = None
        call.is_begun = call._is_done = False
    else:
        call = Receive.__new__(Receive)
    call._protocol = protocol
    return call


cdef class Send(Call):
    cdef ProtocolCore _protocol
    cdef object _message
    cdef object _text
    cdef object _compress

    def __del__(self):
        if not self.is_begun:
            warn("coroutine 'WebSocket.send' was never awaited", RuntimeWarning)

    cdef bint step(self) except -1:
        cdef Sender sender
        cdef int opcode
        cdef bytes payload
        if self.inner is not None:
            return Call.step(self)
        if self._text is None and type(self._message) is bytes:
            opcode, payload = OP_BINARY, self._message
        elif self._text is None and type(self._message) is str:
            opcode, payload = OP_TEXT, (<str>self._message).encode()
        elif is_data(self._message):
            opcode, payload = encode_data(self._message, self._text)
        else:
            self.inner = send_fragments(
                self._protocol, self._message, self._text, self._compress
            )
            return Call.step(self)
        sender = self._protocol.sender
        if not sender.may_send():
            self.inner = send_in_turn(self._protocol, opcode, payload, self._compress)
            return Call.step(self)
        self._protocol.connection.send_message(opcode, payload, True, self._compress)
        sender.written()
        self._protocol = self._message = None
        global _spare
        _spare = self
        return False


async def send_in_turn(ProtocolCore protocol, int opcode, bytes payload, object compress):
    await protocol.sender.turn()
    protocol.connection.send_message(opcode, payload, True, compress)
    protocol.sender.written()


cpdef receive_message(ProtocolCore protocol, object decode):
    cdef Receive call = new_receive(protocol)
    call._decode = decode
    call._is_iteration = False
    return call


cpdef receive_next(ProtocolCore protocol):
    cdef Receive call = new_receive(protocol)
    call._decode = None
    call._is_iteration = True
    return call


cpdef send_message(ProtocolCore protocol, object message, object text, object compress):
    global _spare
    cdef Send call = _spare
    if call is not None and Py_REFCNT(call) == _HELD_HERE_ONLY:
        _spare = None
        call.is_begun = call._is_done = False
    else:
        call = Send.__new__(Send)
    call._protocol = protocol
    call._message = message
    call._text = text
    call._compress = compress
    return call


set_am_send(Receive)
set_am_send(Send)
