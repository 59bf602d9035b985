"""What direct.py describes: one system call, and nothing of the transport's bookkeeping."""

import socket

from cpython.bytes cimport PyBytes_AS_STRING

cdef extern from *:
    """
    #ifdef _WIN32
    static Py_ssize_t send_some(int fd, const char *data, Py_ssize_t size) { return -1; }
    #define SENDS_DIRECTLY 0
    #else
    #include <sys/socket.h>
    #ifndef MSG_NOSIGNAL  /* macOS: Python ignores SIGPIPE */
    #define MSG_NOSIGNAL 0
    #endif
    static Py_ssize_t send_some(int fd, const char *data, Py_ssize_t size) {
        return send(fd, data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    #define SENDS_DIRECTLY 1
    #endif
    """
    Py_ssize_t send_some(int fd, const char *data, Py_ssize_t size) nogil
    const bint SENDS_DIRECTLY

__all__ = ["send_now", "writable_fd"]


cpdef int writable_fd(object transport) except -2:
    sock = transport.get_extra_info("socket")
    if not SENDS_DIRECTLY or sock is None or transport.get_extra_info("sslcontext") is not None:
        return -1
    return sock.fileno() if sock.type == socket.SOCK_STREAM else -1


cpdef Py_ssize_t send_now(int fd, bytes data) except -1:
    cdef Py_ssize_t sent = send_some(fd, PyBytes_AS_STRING(data), len(data))
    return sent if sent > 0 else 0
