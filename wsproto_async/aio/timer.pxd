cdef double _TICK
cdef double _LEAST


cdef class SharedTimer:
    cdef dict _due
    cdef object _handle
    cdef long long _armed_for

    cpdef set(self, object timed, double delay)
    cpdef unset(self, object timed)
    cdef _arm(self, object loop, long long tick)
