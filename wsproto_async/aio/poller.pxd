from libc.stdint cimport uint32_t

cdef extern from "<sys/epoll.h>" nogil:
    uint32_t EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP


cdef class Watched:
    cdef int _fd
    cdef uint32_t _events

    cdef on_ready(self, uint32_t events)


cdef class Poller:
    cdef object __weakref__
    cdef object _loop
    cdef list _watched
    cdef int _fd
    cdef int _count

    cdef watch(self, Watched watched, uint32_t events)
    cdef watch_again(self, Watched watched)
    cdef _control(self, int operation, int fd, uint32_t events)
    cdef _open(self)
    cdef _close(self)


cdef Poller poller_of(object loop)
