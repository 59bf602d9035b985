cdef class Call:
    cdef tuple _arguments
    cdef object _script
    cdef object _run
    cdef bytes _head
    cdef readonly bint is_ordered
    cdef readonly int slot

    cpdef bytes pack(self, object run)
    cpdef bytes pack_with(self, object run, bytes publications)
    cdef tuple _complete(self, object run)
