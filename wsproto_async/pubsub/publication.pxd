cdef class Publication:
    cdef public object topic
    cdef public object payload
    cdef public bint is_text
    cdef public object kind
    cdef public object key
    cdef public object slow
    cdef public object compress
    cdef public bytes exclude
    cdef public object position
