cimport cython

from ..codec.utf8 cimport Utf8Decoder
from .buffer cimport MessageBuffer

cdef Py_ssize_t _UNLIMITED
cdef int _PIECE_COST
cdef int OP_CONTINUATION
cdef int OP_TEXT


cdef class MessageAssembler:
    cdef Py_ssize_t _max_size
    cdef Py_ssize_t _max_fragments
    cdef Py_ssize_t _size
    cdef Py_ssize_t _size_decoded
    cdef public Py_ssize_t budget
    cdef Py_ssize_t _fragments
    cdef MessageBuffer _buffer
    cdef Utf8Decoder _decoder
    cdef bytes _encoded
    cdef object _pieces
    cdef public object codec
    cdef int _opcode
    cdef bint _is_final
    cdef readonly bint is_decoding
    cdef readonly bint is_encoded

    cpdef Py_ssize_t buffered(self) except -1
    cpdef begin_frame(self, int opcode, Py_ssize_t length, bint is_encoded=*)
    cdef object _too_big(self)
    cpdef add(self, bytes payload, bint final)
    cpdef settle(self)
    cdef _begin_decoding(self, bint final)
    @cython.locals(piece=bytes)
    cpdef decode(self)
    cpdef bytes recent(self, Py_ssize_t size)
    cdef _hold(self, bytes piece)
    cdef _finish(self, MessageBuffer buffer)
    cdef _decode(self, bytes payload)
    cpdef discard(self)
    cpdef take(self)
