cdef class Inbox:
    cdef object place
    cdef readonly object view

    cpdef bytes peek(self, Py_ssize_t size)
