from .inbox cimport Inbox
from .shared cimport Shared


cdef class StreamProtocol:
    cdef readonly object loop
    cdef readonly Inbox _inbox
    cdef Shared _shared
    cdef public bint is_reading_on

    cpdef buffer_updated(self, Py_ssize_t nbytes)
