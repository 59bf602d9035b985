from .calls cimport receive_message, receive_next, send_message
from .data cimport encode_data
from .protocol cimport ProtocolCore


cdef class WebSocket:
    cdef dict __dict__
    cdef object __weakref__
    cdef readonly ProtocolCore _protocol
    cdef object _id
    cdef public object server
