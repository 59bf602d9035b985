from .protocol cimport ProtocolCore


cdef class Admission:
    cdef object _admitted
    cdef readonly dict _by_address
    cdef object _limits
    cdef object _pending
    cdef object _refused

    cpdef begin(self, ProtocolCore protocol)
    cpdef refused(self, ProtocolCore protocol)
    cdef _oldest_over_limit(self, object protocols)
    cpdef requested(self, ProtocolCore protocol)
    cpdef bint is_full(self) except -1
    cpdef admit(self, ProtocolCore protocol, str host)
    cpdef end(self, ProtocolCore protocol)
