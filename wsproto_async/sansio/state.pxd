cdef class Lifecycle:
    cdef object _state

    cpdef _advance(self, object cause)
