cimport cython

from ..sansio.connection cimport Connection
from .prepared cimport PreparedMessage
from .protocol cimport ProtocolCore
from .sender cimport Sender

cdef double _SLICE
cdef Py_ssize_t _GLANCE
cdef Py_ssize_t _JOINED
cdef Py_ssize_t _OVERHEAD
cdef object OPEN


cdef class Fanout:
    cdef object _loop
    cdef object _batches
    cdef object _changed
    cdef bint _is_due
    cdef Py_ssize_t _added
    cdef Py_ssize_t _given
    cdef readonly Py_ssize_t pending

    @cython.locals(batch=_Batch)
    cpdef add(
        self, tuple targets, PreparedMessage message, object policy, ProtocolCore excluded=*
    )
    @cython.locals(batch=_Batch, message=PreparedMessage)
    cpdef give(self, ProtocolCore protocol, object messages, object policy)
    @cython.locals(batch=_Batch)
    cpdef bint is_busy(self) except -1
    @cython.locals(batch=_Batch, until=cython.double, has_time=cython.bint)
    cpdef _run(self)
    @cython.locals(batch=_Batch)
    cdef _drop(self)


cdef class _Batch:
    cdef tuple targets
    cdef Py_ssize_t size
    cdef Py_ssize_t _count
    cdef bint _is_begun
    cdef list _messages
    cdef list _policies
    cdef dict _excluded
    cdef bytes _plain
    cdef dict _joined

    cdef bint takes(self, PreparedMessage message) except -1
    cdef bint has_many(self) except -1
    cdef Py_ssize_t count(self) except -1
    cdef add(self, PreparedMessage message, object policy, ProtocolCore excluded)
    @cython.locals(
        targets=tuple, total=cython.Py_ssize_t, messages=cython.int, excluded=dict,
        work=cython.Py_ssize_t, protocol=ProtocolCore, connection=Connection, sender=Sender
    )
    cdef bint go_on(self, double until) except -1
    @cython.locals(message=PreparedMessage, not_for_it=set, number=cython.Py_ssize_t)
    cdef _give_each(self, ProtocolCore protocol)
    @cython.locals(message=PreparedMessage, number=cython.Py_ssize_t, frames=list)
    cdef _push_some(self, ProtocolCore protocol, set not_for_it)
    @cython.locals(joined=bytes)
    cdef bytes _frames(self, object codec)
    @cython.locals(each=PreparedMessage)
    cdef bytes _join(self, object codec)


@cython.locals(connection=Connection, sender=Sender, frame=bytes)
cdef _give(ProtocolCore protocol, PreparedMessage message, object policy)
