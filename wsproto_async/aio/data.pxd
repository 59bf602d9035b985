cdef int OP_BINARY
cdef int OP_TEXT


cpdef bint is_data(object message) except -1
cpdef tuple encode_data(object data, object text)
