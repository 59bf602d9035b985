from .calls cimport receive_message, receive_next, send_message
from .data cimport encode_data
from .protocol cimport ProtocolCore


cdef class WebSocketCore:
    cdef readonly ProtocolCore _protocol
    cdef object _id
    cdef public object server
