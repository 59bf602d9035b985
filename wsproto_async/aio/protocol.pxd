cimport cython

from ..sansio.connection cimport Connection
from .arrival cimport Arrival
from .flow cimport ReceiveQueue
from .sender cimport Sender
from .stream cimport StreamProtocol
from .timer cimport SharedTimer
from .turns cimport Turns

cdef object CONNECTING
cdef object OPEN
cdef object _OPENING
cdef object _ANSWER
cdef object _CLOSING
cdef Py_ssize_t _FULL_READ


cdef class ProtocolCore(StreamProtocol):
    cdef object _owner
    cdef readonly Connection connection
    cdef readonly Sender sender
    cdef readonly object settings
    cdef object _read_limit
    cdef ReceiveQueue _queue
    cdef Arrival _arrival
    cdef readonly SharedTimer timer
    cdef public object keepalive
    cdef object _deadline
    cdef public object task
    cdef public object admitted_as
    cdef public dict audiences
    cdef public object client_address
    cdef readonly double opened_at
    cdef object spare
    cdef readonly object transport
    cdef readonly unsigned long long bytes_received
    cdef unsigned long long _dropped
    cdef public object frame_progress
    cdef public object send_progress
    cdef public long long tick
    cdef public int place
    cdef unsigned int _turn
    cdef bint _is_awaited
    cdef bint _takes_part
    cdef bint _is_behind
    cdef bint _is_ended
    cdef bint _is_over_budget
    cdef bint _was_full_read
    cdef public bint is_closed_by_user
    cdef readonly bint is_lost
    cdef readonly bint is_opened
    cdef public bint is_partly_received
    cdef readonly bint is_reading_paused
    cdef readonly int pauses

    cpdef buffer_updated(self, Py_ssize_t nbytes)
    @cython.locals(turns=Turns)
    cdef _received(self, Py_ssize_t size)
    cdef bint _has_dropped_too_much(self, Py_ssize_t size) except -1
    cdef _watch_frame(self)
    cdef _parse_and_wake(self)
    @cython.locals(connection=Connection, queue=ReceiveQueue)
    cdef _parse(self)
    cdef _put_off(self)
    cdef _go_on_soon(self)
    cdef _handle(self, object event)
    cdef bint _has_arrived(self) except -1
    cdef _wake_receiver(self)
    @cython.locals(connection=Connection, too_much=cython.bint)
    cdef _control_reading(self)
    @cython.locals(connection=Connection)
    cpdef Arrival begin_wait(self, bint part=*)
    cpdef end_wait(self)
    cpdef bint has_message(self, bint part=*) except -1
    cpdef bint is_over(self) except -1
    cpdef peek_message(self)
    cpdef take_message(self)
    cpdef take_part(self)
    cpdef set_deadline(self, object delay, object deadline)
    cpdef handshake_completed(self)
    cpdef close(self, object code, object reason)
    cpdef begin_end(self)
    cpdef end_output(self)
    cpdef unsigned long long messages_received(self) except? 0
    cdef _release(self)
