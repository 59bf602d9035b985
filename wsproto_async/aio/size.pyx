"""What size.py does, without asking the object."""

from sys import getsizeof

from cpython.bytes cimport PyBytes_GET_SIZE

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_KIND(object text)
    bint PyUnicode_IS_ASCII(object text)

__all__ = ["size_of"]

cdef Py_ssize_t _BYTES_OVERHEAD = getsizeof(b"")
cdef Py_ssize_t _ASCII_OVERHEAD = getsizeof("")
cdef Py_ssize_t _STR_OVERHEAD = getsizeof("\N{EURO SIGN}") - 2 * 2


cpdef Py_ssize_t size_of(object message) except -1:
    if isinstance(message, bytes):
        return PyBytes_GET_SIZE(message) + _BYTES_OVERHEAD
    if isinstance(message, str):
        if PyUnicode_IS_ASCII(message):
            return PyUnicode_GET_LENGTH(message) + _ASCII_OVERHEAD
        return (PyUnicode_GET_LENGTH(message) + 1) * PyUnicode_KIND(message) + _STR_OVERHEAD
    raise TypeError("a message is str or bytes")
