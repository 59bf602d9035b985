cdef class Inbox:
    cdef readonly object view

    cpdef bytes take(self, Py_ssize_t size)
