cimport cython

from .publication cimport Publication
from .wire cimport encode

cdef Py_ssize_t _OVERHEAD
cdef Py_ssize_t _MAX_WAITING
cdef Py_ssize_t _FULL


cdef class Budget:
    cdef Py_ssize_t _taken

    cpdef bint take(self, Py_ssize_t size)
    cpdef give_back(self, Py_ssize_t size)


cdef class Batch:
    cdef readonly object topic
    cdef readonly object retention
    cdef readonly Py_ssize_t size
    cdef readonly list parts
    cdef list _futures
    cdef Budget _budget

    cpdef add(self, bytes data, object future)
    cpdef done(self, object first)
    cpdef fail(self, object why)
    cpdef refuse(self, object why)


cdef class Batches:
    cdef Budget _budget
    cdef object _begin
    cdef object _send
    cdef object _write
    cdef object _loop
    cdef list _batches
    cdef dict _last
    cdef Py_ssize_t _size

    @cython.locals(batch=Batch, data=bytes)
    cpdef add(self, Publication publication, object retention)
    cpdef add_alone(self, Publication publication, Batch batch)
    cpdef flush(self)
    cdef _release(self, list batches, Py_ssize_t size)
    cdef bint _has_room(self, Batch batch)
