cpdef int writable_fd(object transport) except -2
cpdef Py_ssize_t send_now(int fd, bytes data) except -1
