cimport cython

from .stream cimport StreamProtocol

cdef Py_ssize_t _RECORD
cdef Py_ssize_t _HEADER
cdef Py_ssize_t _MAX_LENGTH
cdef Py_ssize_t _MAX_ANSWERS


cdef class TLSCore(StreamProtocol):
    cdef StreamProtocol _protocol
    cdef object _transport
    cdef object _tls
    cdef object _incoming
    cdef object _outgoing
    cdef bytes _held
    cdef Py_ssize_t _held_from
    cdef Py_ssize_t _missing
    cdef unsigned long long _dropped
    cdef list _unsent
    cdef object _context
    cdef object _error
    cdef readonly object opened
    cdef bint _is_open
    cdef bint _is_paused
    cdef bint _is_going_on
    cdef bint _is_ended
    cdef bint _is_closing

    cpdef buffer_updated(self, Py_ssize_t nbytes)
    @cython.locals(protocol=StreamProtocol, size=cython.Py_ssize_t)
    cdef _go_on(self)
    @cython.locals(
        held=bytes, length=cython.Py_ssize_t, rest=cython.Py_ssize_t, size=cython.Py_ssize_t,
        start=cython.Py_ssize_t,
    )
    cdef bint _feed(self) except -1
    cdef bint _shake_hands(self) except -1
    cdef Py_ssize_t _decrypt(self) except -1
    cdef _end_input(self)
    cpdef write(self, bytes data)
    cpdef writelines(self, list pieces)
    @cython.locals(piece=bytes, start=cython.Py_ssize_t, size=cython.Py_ssize_t)
    cdef list _encrypt(self, list pieces)
    cdef _send(self)
    cdef _answer(self)
    cpdef Py_ssize_t get_write_buffer_size(self) except -1
    cpdef bint is_closing(self) except -1
    cdef _fail(self, object error)
    cdef _hang_up(self)
