cpdef Py_ssize_t size_of(object message) except -1
