cdef class MessageBuffer:
    cdef object _bytes
    cdef Py_ssize_t _capacity
    cdef object _limit
    cdef Py_ssize_t _memory
    cdef bytes _taken
    cdef readonly Py_ssize_t size

    cpdef append(self, bytes piece)
    cdef _reserve(self, Py_ssize_t limit)
    cpdef bytes recent(self, Py_ssize_t size)
    cpdef bytes take(self, Py_ssize_t size)
    cdef _remember(self, bytes taken)
    cpdef bytes getvalue(self)
