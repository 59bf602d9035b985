cimport cython

from ..codec.frames cimport encode_frame


cdef class PreparedMessage:
    cdef int _opcode
    cdef bytes _payload
    cdef bytes _plain
    cdef object _compress
    cdef dict _encoded
    cdef dict _frames
    cdef readonly Py_ssize_t size

    @cython.locals(frame=bytes, payload=bytes)
    cpdef bytes frame(self, object codec, bint is_client)
