cdef class Utf8Decoder:
    cdef bytes _tail

    cpdef decode(self, bytes piece, bint final)
