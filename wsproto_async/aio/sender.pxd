cimport cython

from ..sansio.connection cimport Connection
from .flow cimport ReceiveQueue, Waiters
from .thread cimport current_thread

cdef Py_ssize_t _CORK_LIMIT
cdef Py_ssize_t _LONG_ON_AVERAGE
cdef Py_ssize_t _OUTBOX_FACTOR
cdef Py_ssize_t _TURN_BUDGET
cdef Py_ssize_t _WRITE_COST
cdef int _FEW_WRITES
cdef int _MAX_WRITES


cdef class Sender:
    cdef Connection _connection
    cdef readonly object transport
    cdef readonly object outbox
    cdef readonly bint is_gate_shut
    cdef int _in_line
    cdef bint _is_outbox_next
    cdef Py_ssize_t _budget
    cdef bint _is_flush_due
    cdef ReceiveQueue _unread
    cdef Waiters _waiters
    cdef object _line
    cdef Py_ssize_t _write_limit
    cdef int _writes
    cdef unsigned long _thread
    cdef readonly unsigned long long bytes_sent

    cpdef check_thread(self)
    cpdef attach(self, object transport)
    cpdef written(self)
    cpdef cork(self)
    cpdef uncork(self)
    @cython.locals(size=cython.Py_ssize_t, output=list)
    cpdef flush(self)
    cdef _write_pieces(self, list pieces, Py_ssize_t size)
    cdef _write(self, bytes data)
    cdef bint _can_write(self, Py_ssize_t size) except -1
    cdef _shut_gate_if_many_wait(self)
    cdef bint _must_wait(self) except -1
    cpdef shut_gate(self)
    cpdef open_gate(self)
    cpdef wake(self)
    cpdef bint may_send(self) except -1
    cpdef Py_ssize_t buffered_amount(self) except -1
    cpdef bint is_held_up(self) except -1
    cpdef push(self, bytes frames, int count)
    cpdef hold(self, bytes frame, object policy, object owner)
    cpdef Py_ssize_t outbox_limit(self) except -1
    @cython.locals(connection=Connection, size=cython.Py_ssize_t, frame=bytes)
    cpdef drain(self)
    cpdef empty_outbox(self)
    cpdef message_sent(self)
