cdef class Call:
    cdef object inner
    cdef object value
    cdef bint is_begun
    cdef bint _is_done

    cdef bint step(self) except -1
    cdef bint throw_in(self, object error) except -1
    cdef give_up(self)
    cdef go_ahead(self)
    cdef bint _go_on(self) except -1
    cdef object _take_value(self)


cdef set_am_send(object kind)
