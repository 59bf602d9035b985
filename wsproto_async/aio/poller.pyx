"""Readiness of many sockets as one event of the loop: an epoll of our own inside the loop's.

For each socket that is ready a loop makes a call in Python, with a context and a handle that must
be brought into the cache. Here it makes one for all of them.
"""

import os
from weakref import WeakKeyDictionary, ref

from libc cimport errno as c_errno

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd

    struct epoll_event:
        uint32_t events
        epoll_data_t data

    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int size, int timeout)

cdef extern from "<unistd.h>" nogil:
    int close(int fd)

cdef enum:
    _AT_ONCE = 256  # events; more come in the next turn of the loop

_pollers = WeakKeyDictionary()  # by loop, each a weak reference: a poller holds its loop


cdef class Watched:
    """Something with a file descriptor: ``on_ready`` is called when it is ready for ``events``."""

    cdef on_ready(self, uint32_t events):
        raise NotImplementedError


cdef class Poller:
    """Watches file descriptors for one loop, which watches nothing of it while there are none."""

    def __cinit__(self):
        self._fd = -1

    def __init__(self, loop):
        self._loop = loop
        self._watched = []

    def __dealloc__(self):
        if self._fd >= 0:
            close(self._fd)

    cdef watch(self, Watched watched, uint32_t events):
        """Watch for ``events`` (of epoll) from now on; for 0, watch no more.

        That comes before the file descriptor is closed.
        """
        if events == watched._events:
            return
        cdef int operation = EPOLL_CTL_DEL if events == 0 else EPOLL_CTL_MOD
        if watched._events == 0:
            operation = EPOLL_CTL_ADD
            self._open()
        self._control(operation, watched._fd, events)
        watched._events = events
        if operation == EPOLL_CTL_ADD:
            self._count += 1
            self._watched.extend([None] * (watched._fd + 1 - len(self._watched)))
            self._watched[watched._fd] = watched
        elif operation == EPOLL_CTL_DEL:
            self._count -= 1
            self._watched[watched._fd] = None
            if self._count == 0:
                self._close()

    cdef watch_again(self, Watched watched):
        """Call ``on_ready`` in the next turn if it is ready, even if it was so before (EPOLLET)."""
        if watched._events != 0:
            self._control(EPOLL_CTL_MOD, watched._fd, watched._events)

    cdef _control(self, int operation, int fd, uint32_t events):
        cdef epoll_event event
        event.events = events
        event.data.fd = fd
        # What is removed may have been already, by a copy of this process.
        if epoll_ctl(self._fd, operation, fd, &event) < 0 and operation != EPOLL_CTL_DEL:
            raise OSError(c_errno.errno, os.strerror(c_errno.errno))

    cdef _open(self):
        if self._fd < 0:
            self._fd = epoll_create1(EPOLL_CLOEXEC)
            if self._fd < 0:
                raise OSError(c_errno.errno, os.strerror(c_errno.errno))
            self._loop.add_reader(self._fd, self)

    cdef _close(self):
        self._loop.remove_reader(self._fd)
        close(self._fd)
        self._fd = -1

    def __call__(self):
        """For the loop, when something is ready."""
        cdef epoll_event events[_AT_ONCE]
        cdef Watched watched
        cdef int i, count = epoll_wait(self._fd, events, _AT_ONCE, 0)
        for i in range(count):
            # What an event is for may be gone by now, and its number another's. That is harmless:
            # who is ready finds out by trying.
            watched = self._watched[events[i].data.fd]
            if watched is None:
                continue
            try:
                watched.on_ready(events[i].events)
            except (SystemExit, KeyboardInterrupt):
                for watched in [self._watched[events[j].data.fd] for j in range(i + 1, count)]:
                    if watched is not None:
                        self.watch_again(watched)
                raise
            except BaseException as error:
                self._loop.call_exception_handler(
                    {"message": f"{watched!r} failed", "exception": error}
                )


cdef Poller poller_of(object loop):
    """Return the poller of a loop."""
    found = _pollers.get(loop)
    cdef Poller poller = None if found is None else found()
    if poller is None:
        poller = Poller(loop)
        _pollers[loop] = ref(poller)
    return poller
