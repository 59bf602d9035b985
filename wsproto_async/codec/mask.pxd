cpdef bytes apply_mask(
    bytes data, bytes masking_key, Py_ssize_t start=*, Py_ssize_t end=*, Py_ssize_t key_start=*
)
cpdef bytes join_frame(int first, bytes payload, bytes masking_key)
cpdef bytes make_header(int first, Py_ssize_t length, int mask_bit)
