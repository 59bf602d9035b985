from .inbox cimport Inbox
from .timer cimport SharedTimer
from .turns cimport Turns


cdef class Shared:
    cdef object __weakref__
    cdef readonly Inbox inbox
    cdef readonly object now
    cdef readonly SharedTimer timer
    cdef readonly Turns turns
