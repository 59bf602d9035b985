from .connection cimport Connection


cdef class ClientConnection(Connection):
    cdef object _extensions
    cdef int _interim
    cdef bint _is_requested
    cdef object _key
    cdef object _offered
    cdef readonly object request
    cdef readonly object response
    cdef readonly object subprotocol

    cpdef _parse_handshake(self)
    cdef _read_response(self)
    cdef _read_body(self)
