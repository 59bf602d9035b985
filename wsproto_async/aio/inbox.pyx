"""What inbox.py does, without a view of each read."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_GET_BUFFER

__all__ = ["Inbox"]

cdef Py_ssize_t _SIZE = 2**18


cdef class Inbox:
    def __init__(self):
        self.view = memoryview(bytearray(_SIZE))

    cpdef bytes take(self, Py_ssize_t size):
        if not 0 <= size <= _SIZE:
            raise ValueError("out of range")
        return PyBytes_FromStringAndSize(<char *>PyMemoryView_GET_BUFFER(self.view).buf, size)
