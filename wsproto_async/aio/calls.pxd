from .protocol cimport ProtocolCore

cpdef receive_message(ProtocolCore protocol, object decode)
cpdef receive_next(ProtocolCore protocol)
cpdef send_message(ProtocolCore protocol, object message, object text, object compress)
