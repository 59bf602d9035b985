"""XOR with the masking key (RFC 6455 5.3): what mask.py does, eight bytes at a time."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

cdef extern from *:
    const Py_ssize_t PY_SSIZE_T_MAX

__all__ = ["apply_mask"]


cpdef bytes apply_mask(
    bytes data, bytes masking_key, Py_ssize_t start=0, Py_ssize_t end=PY_SSIZE_T_MAX
):
    end = min(end, len(data))
    if not 0 <= start <= end or len(masking_key) != 4:
        raise ValueError("out of range")
    cdef Py_ssize_t size = end - start
    cdef bytes masked = PyBytes_FromStringAndSize(NULL, size)
    xor(
        <unsigned char *>PyBytes_AS_STRING(masked),
        <const unsigned char *>PyBytes_AS_STRING(data) + start,
        size,
        <const unsigned char *>PyBytes_AS_STRING(masking_key),
    )
    return masked


cdef void xor(
    unsigned char *out, const unsigned char *data, Py_ssize_t size, const unsigned char *masking_key
) noexcept nogil:
    cdef unsigned long long word, key
    cdef unsigned char twice[8]
    cdef Py_ssize_t i, words = size // 8
    memcpy(twice, masking_key, 4)
    memcpy(twice + 4, masking_key, 4)
    memcpy(&key, twice, 8)
    # memcpy of a fixed size is a load or a store: so written, the C compiler vectorises the loop.
    for i in range(words):
        memcpy(&word, data + 8 * i, 8)
        word ^= key
        memcpy(out + 8 * i, &word, 8)
    for i in range(words * 8, size):
        out[i] = data[i] ^ twice[i % 8]
