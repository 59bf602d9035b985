cimport cython

from .frames cimport (
    check_first_byte,
    check_long_length,
    check_second_byte,
    check_short_length,
)
from .mask cimport apply_mask


cdef int OP_CLOSE
cdef int OP_CONTINUATION
cdef Py_ssize_t _JOIN_LIMIT


cdef class FrameParser:
    cdef bytes _data
    cdef bytearray _backlog
    cdef bytes _masking_key
    cdef bytes _usual_outside
    cdef bytes _usual_inside
    cdef Py_ssize_t _pos
    cdef Py_ssize_t _end
    cdef readonly Py_ssize_t remaining
    cdef int _allowed_rsv
    cdef int _mask_bit
    cdef bint _is_borrowed
    cdef bint _masked
    cdef bint _message_open
    cdef readonly bint fin
    cdef readonly bint in_frame
    cdef readonly int opcode
    cdef readonly int rsv

    cpdef Py_ssize_t buffered(self) except -1
    cpdef allow_rsv(self, int rsv)
    @cython.locals(unread=cython.Py_ssize_t)
    cpdef feed(self, bytes data)
    cpdef borrow(self, bytes data, Py_ssize_t size)
    cpdef keep(self)
    cdef _hold(self, bytes data)
    cpdef discard(self)
    cdef bint _refill(self) except -1
    @cython.locals(
        data=bytes, pos=cython.Py_ssize_t, first=cython.int, usual=bytes,
        length=cython.Py_ssize_t, i=cython.Py_ssize_t
    )
    cpdef bint read_header(self) except -1
    @cython.locals(
        data=bytes, pos=cython.Py_ssize_t, available=cython.Py_ssize_t, first=cython.int,
        second=cython.int, length=cython.int
    )
    cdef bint _read_any_header(self) except -1
    cdef bint _begin_frame(self, int first, Py_ssize_t length, Py_ssize_t pos) except -1
    @cython.locals(
        data=bytes, pos=cython.Py_ssize_t, end=cython.Py_ssize_t, size=cython.Py_ssize_t,
        available=cython.Py_ssize_t, turn=cython.int, payload=bytes
    )
    cpdef bytes read_payload(self, Py_ssize_t limit=*)
    @cython.locals(
        data=bytes, key_start=cython.Py_ssize_t, start=cython.Py_ssize_t, end=cython.Py_ssize_t
    )
    cdef bytes _read_whole_payload(self)
    cdef bint _read_masking_key(self) except -1
