cimport cython

from .headers cimport HeadersCore, parse_fields


cdef class Request:
    cdef public HeadersCore headers
    cdef public object method
    cdef public str path

    cpdef bytes serialize(self)


cdef class Response:
    cdef public object body
    cdef public HeadersCore headers
    cdef public object reason
    cdef public object status


cdef bytes _serialize_head(str start_line, HeadersCore headers)
