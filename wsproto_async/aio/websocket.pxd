cimport cython

from .arrival cimport Arrival
from .data cimport encode_data, is_data
from .protocol cimport ProtocolCore
from .sender cimport Sender


cdef class WebSocket:
    cdef dict __dict__
    cdef object __weakref__
    cdef readonly ProtocolCore _protocol
    cdef object _id
    cdef bint _is_partly_received
    cdef public object server

    cdef _check_not_partly_received(self)
