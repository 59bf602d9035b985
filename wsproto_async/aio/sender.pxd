from ..sansio.connection cimport Connection
from .flow cimport ReceiveQueue, Waiters

cdef Py_ssize_t _CORK_LIMIT


cdef class Sender:
    cdef Connection _connection
    cdef ReceiveQueue _unread
    cdef object _loop
    cdef Waiters _waiters
    cdef object _line
    cdef int _in_line
    cdef list _pushed
    cdef bint _is_gate_shut
    cdef bint _is_flush_due
    cdef public object transport

    cpdef written(self)
    cpdef cork(self)
    cpdef uncork(self)
    cpdef flush(self)
    cpdef shut_gate(self)
    cpdef open_gate(self)
    cpdef wake(self)
    cpdef bint may_send(self) except -1
    cpdef push(self, bytes frame)
    cpdef message_sent(self)
