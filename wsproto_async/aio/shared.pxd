from .inbox cimport Inbox
from .timer cimport SharedTimer
from .turns cimport Turns


cdef class Shared:
    cdef object __weakref__
    cdef readonly Inbox inbox
    cdef readonly SharedTimer timer
    cdef readonly Turns turns
