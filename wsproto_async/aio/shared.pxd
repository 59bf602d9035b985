from .inbox cimport Inbox
from .turns cimport Turns


cdef class Shared:
    cdef object __weakref__
    cdef readonly Inbox inbox
    cdef readonly object timer
    cdef readonly Turns turns
