cdef class Arrival:
    cdef public bint _asyncio_future_blocking
    cdef object _callback
    cdef object _context
    cdef bint _is_cancelled
    cdef object _loop
    cdef public bint is_here

    cpdef arrive(self)
    cpdef arrive_soon(self)
