cimport cython

from .publication cimport Publication

cdef int VERSION
cdef Py_ssize_t _EXCLUDE
cdef Py_ssize_t _MAX_LENGTH
cdef dict _COMPRESS
cdef dict _SLOW


@cython.locals(key=bytes, exclude=bytes, begin=bytes, flags=int)
cpdef bytes encode(Publication publication)
@cython.locals(begin=Py_ssize_t, end=Py_ssize_t)
cpdef list decode_all(object topic, bytes data, object first=*)
cpdef Publication decode(object topic, bytes data, object position=*)
@cython.locals(
    kind=int, slow=int, key_length=int, flags=int, version=int, payload=bytes,
    publication=Publication, exclude_end=Py_ssize_t, key_end=Py_ssize_t,
)
cdef Publication _decode(
    object topic, bytes data, Py_ssize_t begin, Py_ssize_t end, object position
)
