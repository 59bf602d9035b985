from .inbox cimport Inbox


cdef class StreamProtocol:
    cdef readonly object loop
    cdef readonly Inbox _inbox
    cdef object _shared

    cpdef buffer_updated(self, Py_ssize_t nbytes)
