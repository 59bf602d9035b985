from .call cimport Call


cdef class Arrival:
    cdef public bint _asyncio_future_blocking
    cdef object _callback
    cdef bint _is_cancelled
    cdef object _loop
    cdef Call ahead
    cdef object context
    cdef public bint is_here

    cpdef arrive(self)
    cpdef arrive_soon(self)
    cpdef bint begin(self) except -1
