from .call cimport Call


cdef class Arrival:
    cdef object _callback
    cdef object _loop
    cdef Call ahead
    cdef object context
    cdef public bint _asyncio_future_blocking
    cdef object _cancelled

    cpdef arrive(self)
    cpdef arrive_soon(self)
    cpdef begin(self, bint is_here)
