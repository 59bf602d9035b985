from .mask cimport join_frame, make_header

cdef int OP_CLOSE
cdef int OP_CONTINUATION

cpdef check_first_byte(int first, bint message_open, int rsv=*)
cpdef check_second_byte(int first, int second, bint masked)
cpdef check_short_length(int length)
cpdef check_long_length(bytes encoded)

cpdef bytes encode_header(int opcode, Py_ssize_t length, bint fin=*, int rsv=*)
cpdef bytes encode_frame(int opcode, bytes payload, bint masked, bint fin=*, int rsv=*)
