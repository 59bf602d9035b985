cimport cython


cdef class HeadersCore:
    cdef object _content
    cdef dict _index

    cpdef pack(self)
    cpdef str serialize(self)
    cdef list _fields(self)
    cpdef add_checked(self, str name, str value)
    @cython.locals(index=dict, values=list)
    cpdef list get_all(self, str name)


@cython.locals(headers=HeadersCore)
cdef _wrapped(object content, dict index)
@cython.locals(name=str, value=str, key=str, index=dict, values=list)
cdef dict _index(list fields)
@cython.locals(fields=list)
cdef list _split(str lines)
@cython.locals(fields=list)
cpdef parse_fields(str lines, int most)
cpdef list parse_list(HeadersCore headers, str name)
cpdef list parse_tokens(HeadersCore headers, str name)
