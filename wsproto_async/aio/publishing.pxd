cimport cython

from ..pubsub.publication cimport Publication
from .data cimport encode_data
from .thread cimport current_thread

cdef int OP_TEXT
cdef int _IN_A_ROW


cdef class Publisher:
    cdef object _broker
    cdef object _delivery
    cdef object _loop
    cdef object _options
    cdef unsigned long _thread
    cdef int _in_a_row
    cdef readonly Py_ssize_t published

    @cython.locals(publication=Publication, opcode=int, payload=bytes)
    cpdef publish(
        self,
        object name,
        object message,
        object text,
        object compress,
        object exclude,
        object key,
        object slow,
        object idempotency_key,
    )


cdef class _Publishing:
    cdef object _done
    cdef Publisher _publisher
    cdef object _name
    cdef object _slow
