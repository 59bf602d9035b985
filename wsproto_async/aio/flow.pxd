from .size cimport size_of

cdef int _MAX_MESSAGES


cdef class ReceiveQueue:
    cdef list _messages
    cdef Py_ssize_t _limit
    cdef Py_ssize_t _size
    cdef int _first
    cdef readonly int count
    cdef readonly unsigned long long total

    cpdef bint is_full(self) except -1
    cpdef bint is_low(self) except -1
    cpdef put(self, object message)
    cpdef peek(self)
    cpdef get(self)


cdef class Waiters:
    cdef list _futures

    cpdef wake(self)
