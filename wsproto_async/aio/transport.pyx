"""What transport.py describes, with a transport of our own.

A loop's transport does for each message what a callback on a readable socket need not: it asks for
a buffer, and takes the output in to write it later. Here a message is one ``recv`` and one
``send``, right from and to the socket.
"""

import os
import socket
import sys
from asyncio.trsock import TransportSocket

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.memoryview cimport PyMemoryView_GET_BUFFER
from libc cimport errno as c_errno
from libc.limits cimport INT_MAX
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from .bind import send_small_frames_at_once

from .poller cimport (
    EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP,
    Poller, Watched, poller_of,
)
from .stream cimport StreamProtocol

cdef extern from "Python.h":
    str PyUnicode_FromFormat(const char *format, ...)

cdef extern from * nogil:
    """
    #include <netinet/in.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <unistd.h>
    #define recv_some(fd, data, size) recv(fd, data, (size_t)(size), MSG_DONTWAIT)
    #define send_some(fd, data, size) \\
        send(fd, data, (size_t)(size), MSG_DONTWAIT | MSG_NOSIGNAL)
    static ssize_t send_pieces(int fd, struct iovec *pieces, int count) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
        return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    static int accept_some(int fd, char *peer, int *size) {
        socklen_t length = (socklen_t)*size;
        int found = accept4(
            fd, (struct sockaddr *)peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if ((int)length < *size) *size = (int)length;
        return found;
    }
    static int error_of(int fd) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
        return error;
    }
    static int peer_of(int fd, char *peer, int size) {
        socklen_t length = (socklen_t)size;
        if (getpeername(fd, (struct sockaddr *)peer, &length) < 0) return 0;
        return (int)length < size ? (int)length : size;
    }
    """
    struct iovec:
        void *iov_base
        size_t iov_len

    struct sockaddr:
        unsigned short sa_family

    int AF_UNIX
    int SHUT_WR
    int accept_some(int listener, char *peer, int *size)
    int close(int fd)
    int error_of(int fd)
    int peer_of(int fd, char *peer, int size)
    int shutdown(int fd, int how)
    Py_ssize_t recv_some(int fd, void *data, Py_ssize_t size)
    Py_ssize_t send_pieces(int fd, iovec *pieces, int count)
    Py_ssize_t send_some(int fd, const void *data, Py_ssize_t size)

__all__ = ["accept", "attach"]

cdef enum:
    _USUAL_HIGH = 65536
    _PIECES = 16  # that one system call takes
    _MAX_ADDRESS = 28  # bytes of a sockaddr_in6
    _MAX_PEER = 110  # of a sockaddr_un

# An event is for what has come, not for what is there: what a read leaves there is asked for again.
cdef uint32_t _READ_EVENTS = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET
cdef uint32_t _MORE_EVENTS = EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR  # a read stops before those


cdef class SocketTransport(Watched):
    """What :mod:`..protocol` needs of an :class:`asyncio.Transport`, on a connected stream socket."""

    cdef Poller _poller
    cdef object _sock  # None until somebody asks for it
    cdef StreamProtocol _protocol
    cdef bytearray _unsent
    cdef bint _is_closing
    cdef bint _is_eof_due
    cdef bint _is_protocol_paused
    cdef int _high
    cdef int _peer_size
    cdef char _peer[_MAX_ADDRESS]
    cdef object _peer_path  # of a Unix socket; most have none

    def __del__(self):
        if self._fd >= 0 and self._sock is None:
            close(self._fd)
            self._fd = -1

    cdef _start(self):
        self._protocol.connection_made(self)
        if not self._is_closing:
            self.resume_reading()

    cdef on_ready(self, uint32_t events):
        if events & EPOLLERR and not self._events & EPOLLIN:
            self._end(os_error(error_of(self._fd)))  # no read would tell
            return
        if events & ~EPOLLOUT and self._events & EPOLLIN:
            self._read(events)
        if events & ~EPOLLIN and self._unsent is not None:
            self._write_unsent()

    # Reading

    cdef _read(self, uint32_t events):
        cdef Py_ssize_t size
        buffer = PyMemoryView_GET_BUFFER(self._protocol._inbox.view)
        size = recv_some(self._fd, buffer.buf, buffer.len)
        if size > 0:
            try:
                self._protocol.buffer_updated(size)
            except BaseException as error:
                self._end(error)
                raise
            if size == buffer.len or events & _MORE_EVENTS:
                self._poller.watch_again(self)
        elif size == 0:
            self.pause_reading()
            self._protocol.eof_received()
            self.close()
        elif c_errno.errno not in (c_errno.EAGAIN, c_errno.EINTR):
            self._end(os_error(c_errno.errno))

    def pause_reading(self):
        # Still watched, for nothing: to be watched again takes room that may be gone by then.
        self._poller.watch(self, self._events & ~_READ_EVENTS | EPOLLET)

    def resume_reading(self):
        if not self._is_closing:
            self._poller.watch(self, self._events | _READ_EVENTS)

    # Writing

    cpdef write(self, object data):
        cdef bytes payload = data
        cdef Py_ssize_t sent = 0, size = len(payload)
        if self._is_closing or self._is_eof_due:
            return
        if self._unsent is None:
            sent = self._sent(send_some(self._fd, PyBytes_AS_STRING(payload), size))
            if sent == size or self._is_closing:
                return
        self._wait_to_write(PyBytes_AS_STRING(payload) + sent, size - sent)

    def writelines(self, list pieces):
        cdef iovec vectors[_PIECES]
        cdef bytes piece
        cdef Py_ssize_t sent
        cdef int i = 0
        if self._unsent is not None or len(pieces) > _PIECES:
            self.write(b"".join(pieces))
            return
        if self._is_closing or self._is_eof_due:
            return
        for piece in pieces:
            vectors[i].iov_base = PyBytes_AS_STRING(piece)
            vectors[i].iov_len = len(piece)
            i += 1
        sent = self._sent(send_pieces(self._fd, vectors, i))
        if self._is_closing:
            return
        for piece in pieces:
            if sent < len(piece):
                self._wait_to_write(PyBytes_AS_STRING(piece) + sent, len(piece) - sent)
            sent = max(sent - len(piece), 0)

    cdef Py_ssize_t _sent(self, Py_ssize_t sent) except -1:
        """Return how many bytes a system call has sent, which said ``sent``."""
        if sent >= 0:
            return sent
        if c_errno.errno not in (c_errno.EAGAIN, c_errno.EINTR):
            self._end(os_error(c_errno.errno))
        return 0

    cdef _wait_to_write(self, const char *data, Py_ssize_t size):
        if self._unsent is None:
            self._unsent = PyByteArray_FromStringAndSize(data, size)
            self._poller.watch(self, self._events | EPOLLOUT)
        else:
            self._unsent += data[:size]
        self._pause_if_full()

    cdef _pause_if_full(self):
        if self.get_write_buffer_size() > self._high and not self._is_protocol_paused:
            self._is_protocol_paused = True
            self._protocol.pause_writing()

    cdef _write_unsent(self):
        cdef Py_ssize_t sent = self._sent(
            send_some(self._fd, PyByteArray_AS_STRING(self._unsent), len(self._unsent))
        )
        if self._unsent is None:  # it failed
            return
        del self._unsent[:sent]
        cdef Py_ssize_t left = len(self._unsent)
        if left == 0:
            self._unsent = None
            self._poller.watch(self, self._events & ~EPOLLOUT)
        if self._is_protocol_paused and left <= self._high // 4:
            self._is_protocol_paused = False
            self._protocol.resume_writing()
        if self._unsent is None:
            if self._is_closing:
                self._end(None)
            elif self._is_eof_due and shutdown(self._fd, SHUT_WR) < 0:
                self._end(os_error(c_errno.errno))

    def set_write_buffer_limits(self, high):
        self._high = min(high, INT_MAX)
        self._pause_if_full()

    def set_protocol(self, protocol):
        self._protocol = protocol

    cpdef Py_ssize_t get_write_buffer_size(self) except -1:
        return 0 if self._unsent is None else len(self._unsent)

    def can_write_eof(self):
        return True

    def write_eof(self):
        if not self._is_closing and not self._is_eof_due:
            self._is_eof_due = True
            if self._unsent is None and shutdown(self._fd, SHUT_WR) < 0:
                raise os_error(c_errno.errno)

    # The end

    cpdef bint is_closing(self) except -1:
        return self._is_closing

    def close(self):
        if not self._is_closing:
            self.pause_reading()
            self._is_closing = True
            if self._unsent is None:
                self._protocol.loop.call_soon(self._lost, None)

    def abort(self):
        self._end(None)

    cdef _end(self, object error):
        if self._fd < 0:
            return
        self._poller.watch(self, 0)
        self._unsent = None
        self._is_closing = True
        self._protocol.loop.call_soon(self._lost, error)

    def _lost(self, error):
        if self._fd < 0:
            return
        self._poller.watch(self, 0)
        cdef int fd = self._fd
        self._fd = -1
        protocol, self._protocol = self._protocol, None
        try:
            protocol.connection_lost(error)
        finally:
            if self._sock is None:
                close(fd)
            else:
                self._sock.close()

    # What it is

    def get_extra_info(self, name, default=None):
        if name == "peername":
            return self._peer_path or name_of(<unsigned char *>self._peer, self._peer_size)
        if name in ("socket", "sockname") and self._fd >= 0:
            if self._sock is None:
                self._sock = socket.socket(fileno=self._fd)
            return TransportSocket(self._sock) if name == "socket" else self._sock.getsockname()
        return default


cdef object name_of(const unsigned char *address, int size):
    """Return what Python makes of a ``sockaddr_in`` or ``sockaddr_in6``; else the empty string.

    None if there is no address: the peer had gone.
    """
    if size == 0:
        return None
    if size == 16:
        host = PyUnicode_FromFormat(
            "%d.%d.%d.%d", address[4], address[5], address[6], address[7]
        )
        return host, address[2] << 8 | address[3]
    if size == _MAX_ADDRESS:
        peer = address[:_MAX_ADDRESS]
        port = int.from_bytes(peer[2:4], "big")
        flow = int.from_bytes(peer[4:8], "big")
        scope = int.from_bytes(peer[24:], sys.byteorder)
        return socket.inet_ntop(socket.AF_INET6, peer[8:24]), port, flow, scope
    return ""


cdef object path_of(bytes peer):
    """Return what Python makes of a ``sockaddr_un``."""
    path = peer[2:]
    return path if path[:1] == b"\0" else os.fsdecode(path.partition(b"\0")[0])


cdef object os_error(int number):
    return OSError(number, os.strerror(number))


cdef SocketTransport transport_of(
    int fd, object sock, StreamProtocol protocol, const char *peer, int size
):
    cdef SocketTransport transport = SocketTransport.__new__(SocketTransport)
    transport._poller = poller_of(protocol.loop)
    transport._fd = fd
    transport._sock = sock
    if size >= 2 and (<sockaddr *>peer).sa_family == AF_UNIX:
        transport._peer_path = path_of(peer[:size])
        transport._peer_size = 2
    elif size <= _MAX_ADDRESS:
        memcpy(transport._peer, peer, size)
        transport._peer_size = size
    transport._protocol = protocol
    transport._high = _USUAL_HIGH
    return transport


async def attach(sock, protocol):
    send_small_frames_at_once(sock)
    cdef char peer[_MAX_PEER]
    cdef int size = peer_of(sock.fileno(), peer, _MAX_PEER)
    transport_of(sock.fileno(), sock, protocol, peer, size)._start()


def accept(sock, make):
    cdef char peer[_MAX_PEER]
    cdef int size = _MAX_PEER
    cdef int fd = accept_some(sock.fileno(), peer, &size)
    if fd < 0:
        return c_errno.errno
    cdef SocketTransport transport = transport_of(fd, None, make(), peer, size)
    try:
        transport._start()
    except OSError as error:  # there is no room to watch the socket
        transport._end(error)
    return 0
