"""What mask.py does, in C."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

cdef extern from *:
    const Py_ssize_t PY_SSIZE_T_MAX

__all__ = ["apply_mask", "join_frame", "make_header"]


cpdef bytes apply_mask(
    bytes data,
    bytes masking_key,
    Py_ssize_t start=0,
    Py_ssize_t end=PY_SSIZE_T_MAX,
    Py_ssize_t key_start=0,
):
    end = min(end, len(data))
    if not 0 <= start <= end or not 0 <= key_start <= len(masking_key) - 4:
        raise ValueError("out of range")
    cdef bytes masked = PyBytes_FromStringAndSize(NULL, end - start)
    xor(bytes_of(masked), bytes_of(data) + start, end - start, bytes_of(masking_key) + key_start)
    return masked


cpdef bytes join_frame(int first, bytes payload, bytes masking_key):
    cdef Py_ssize_t length = len(payload)
    cdef Py_ssize_t start = header_size(length)
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, start + len(masking_key) + length)
    cdef unsigned char *out = bytes_of(frame)
    put_header(out, first, length, 0x80 if masking_key else 0)
    out += start
    if not masking_key:
        memcpy(out, bytes_of(payload), length)
        return frame
    if len(masking_key) != 4:
        raise ValueError("masking key must have 4 bytes")
    memcpy(out, bytes_of(masking_key), 4)
    xor(out + 4, bytes_of(payload), length, bytes_of(masking_key))
    return frame


cpdef bytes make_header(int first, Py_ssize_t length, int mask_bit):
    cdef bytes header = PyBytes_FromStringAndSize(NULL, header_size(length))
    put_header(bytes_of(header), first, length, mask_bit)
    return header


cdef inline int header_size(Py_ssize_t length) noexcept:
    return 2 if length < 126 else 4 if length < 65536 else 10


cdef inline void put_header(
    unsigned char *out, int first, Py_ssize_t length, int mask_bit
) noexcept:
    cdef int i, encoded = header_size(length) - 2
    out[0] = <unsigned char>first
    out[1] = <unsigned char>(mask_bit | (length if length < 126 else 126 if encoded == 2 else 127))
    for i in range(encoded):
        out[2 + i] = <unsigned char>(length >> 8 * (encoded - 1 - i))


cdef inline unsigned char *bytes_of(bytes data) noexcept:
    return <unsigned char *>PyBytes_AS_STRING(data)


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
