cpdef bytes apply_mask(bytes data, bytes masking_key, Py_ssize_t start=*, Py_ssize_t end=*)
cdef void xor(
    unsigned char *out, const unsigned char *data, Py_ssize_t size, const unsigned char *masking_key
) noexcept nogil
