cimport cython


cdef int OP_CLOSE
cdef int OP_CONTINUATION

cpdef check_first_byte(int first, bint message_open, int rsv=*)
cpdef check_second_byte(int first, int second, bint masked)
cpdef check_short_length(int length)
cpdef check_long_length(bytes encoded)

@cython.locals(first=cython.int, mask_bit=cython.int, length=cython.Py_ssize_t, header=bytes)
cpdef bytes encode_frame(int opcode, bytes payload, bint masked, bint fin=*, int rsv=*)
