cdef object _FULL_BUDGET
cdef Py_ssize_t _SMALL_BUDGET
cdef double _SLICE
cdef double _SHARE
cdef double _IDLE
cdef int _AT_MOST


cdef class Turns:
    cdef object _line
    cdef bint _is_due
    cdef double _credit
    cdef double _left_at
    cdef readonly Py_ssize_t budget

    cpdef wait(self, busy)
    cdef _serve_soon(self, loop)
