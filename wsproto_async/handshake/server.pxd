cimport cython

from .headers cimport HeadersCore, parse_list
from .http11 cimport Request, Response


@cython.locals(hosts=list, lengths=list)
cpdef Request build_request(tuple start, HeadersCore headers)
@cython.locals(headers=HeadersCore, keys=list)
cpdef str check_upgrade(Request request)
@cython.locals(values=list)
cdef bint _has_token(HeadersCore headers, str name, str token) except -1
cdef bint _is_key(str key) except -1
cpdef str accept_token(str key)
@cython.locals(headers=HeadersCore)
cpdef Response accept_response(str key, object subprotocol, object extension=*)
@cython.locals(headers=HeadersCore)
cpdef Response finish_response(Response response, object server_header)
