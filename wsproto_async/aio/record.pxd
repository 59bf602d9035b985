cimport cython

from .protocol cimport ProtocolCore
from .websocket cimport WebSocketCore


cdef class Record:
    cdef object _accepted
    cdef object _closed
    cdef object _log
    cdef object _refused
    cdef tuple _traffic
    cdef readonly list durations
    cdef public object shed
    cdef readonly double started
    cdef readonly double total_duration

    cpdef opened(self, WebSocketCore ws)
    @cython.locals(protocol=ProtocolCore)
    cpdef gone(self, WebSocketCore ws)


@cython.locals(protocol=ProtocolCore)
cdef tuple _traffic(WebSocketCore ws)
cdef tuple _sum(tuple some, tuple others)
