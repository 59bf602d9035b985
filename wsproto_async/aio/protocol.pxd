cimport cython

from ..sansio.connection cimport Connection
from .arrival cimport Arrival
from .flow cimport ReceiveQueue
from .sender cimport Sender
from .stream cimport StreamProtocol

cdef object _OPEN
cdef object _ANSWER


cdef class ProtocolCore(StreamProtocol):
    cdef object _owner
    cdef readonly Connection connection
    cdef readonly Sender sender
    cdef readonly object settings
    cdef object _read_limit
    cdef ReceiveQueue _queue
    cdef Arrival _arrival
    cdef object _timer
    cdef readonly object keepalive
    cdef object _deadline
    cdef public object task
    cdef object spare
    cdef readonly object transport
    cdef readonly unsigned long long bytes_received
    cdef public long long tick
    cdef public int place
    cdef bint _is_awaited
    cdef bint _takes_part
    cdef bint _is_behind
    cdef bint _is_ended
    cdef public bint is_admitted
    cdef readonly bint is_lost
    cdef readonly bint is_opened
    cdef public bint is_partly_received
    cdef readonly bint is_reading_paused

    cpdef buffer_updated(self, Py_ssize_t nbytes)
    cdef _received(self, Py_ssize_t size)
    cdef _parse_and_wake(self)
    @cython.locals(connection=Connection, queue=ReceiveQueue)
    cdef _parse(self)
    cdef _handle(self, object event)
    cdef bint _has_arrived(self) except -1
    cdef _wake_receiver(self)
    @cython.locals(connection=Connection, too_much=cython.bint)
    cdef _control_reading(self)
    @cython.locals(connection=Connection)
    cpdef Arrival begin_wait(self, bint part=*)
    cpdef end_wait(self)
    cpdef bint has_message(self, bint part=*) except -1
    cpdef peek_message(self)
    cpdef take_message(self)
    cpdef take_part(self)
    cdef _release(self)
