cdef class Lifecycle:
    cdef readonly object state

    cpdef _advance(self, object cause)
