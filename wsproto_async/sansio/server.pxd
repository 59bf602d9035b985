cimport cython

from ..handshake.headers cimport parse_tokens
from ..handshake.http11 cimport Request, Response
from ..handshake.server cimport accept_response, build_request, check_upgrade, finish_response
from .connection cimport Connection

cdef object _COMPLETED


cdef class ServerConnection(Connection):
    cdef object _allowed_hosts
    cdef object _body
    cdef object _codec_accepted
    cdef object _extensions
    cdef object _origins
    cdef object _server_header
    cdef object _subprotocols
    cdef readonly Request request
    cdef readonly Response response
    cdef readonly object subprotocol

    cpdef _parse_handshake(self)
    @cython.locals(request=Request)
    cdef _read_request(self, object head)
    cdef _respond(self, Response response, object method)
