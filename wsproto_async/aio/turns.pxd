cdef object _FULL_BUDGET
cdef Py_ssize_t _SMALL_BUDGET
cdef double _SLICE
cdef double _SHARE
cdef double _IDLE
cdef int _AT_MOST
cdef int _MANY


cdef class Turns:
    cdef object _line
    cdef bint _is_due
    cdef double _credit
    cdef double _left_at
    cdef int _reads
    cdef readonly Py_ssize_t budget
    cdef readonly unsigned int number

    cdef bint is_long(self, loop) except -1
    cpdef wait(self, busy)
    cdef _serve_soon(self, loop)
