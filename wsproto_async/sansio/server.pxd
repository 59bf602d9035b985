from .connection cimport Connection


cdef class ServerConnection(Connection):
    cdef object _allowed_hosts
    cdef object _codec_accepted
    cdef object _extensions
    cdef object _origins
    cdef object _server_header
    cdef object _subprotocols
    cdef readonly object request
    cdef readonly object response
    cdef readonly object subprotocol

    cpdef _parse_handshake(self)
    cdef _read_request(self, object head)
    cdef _respond(self, object response, object method)
