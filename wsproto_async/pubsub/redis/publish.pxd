cimport cython

from ..batches cimport Batch
from .call cimport Call


cdef class Publish(Batch):
    cdef readonly Call call
    cdef public object refused_at
    cdef readonly object repeat
    cdef public object written_at

    @cython.locals(parts=list)
    cpdef bytes pack(self, object run)
    cpdef finish(self, object reply)


cpdef position(bytes text)
