"""A handler ahead of its task: what asyncio does for a message is done without it.

A task that is woken asks a future for its result, and the next one for its loop and its callback.
A handler that waits for the next message only needs none of this.
"""

from collections.abc import Awaitable, Coroutine

from asyncio import CancelledError, current_task
from asyncio.tasks import _enter_task, _leave_task
from inspect import isawaitable

from .arrival cimport Arrival
from .call cimport Call, set_am_send

cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1

__all__ = ["drive"]


cdef class Drive(Call):
    """Runs a connection's handler: ahead of its task while the handler waits for messages only.

    The task waits for the arrival. When a message comes, ``go_ahead`` goes on with the handler, as
    the task would, and if the handler waits for the next one, the task need not know. Else the
    task is woken, and finds in ``value`` what the handler waits for or has come to.
    """

    cdef Arrival _arrival
    cdef object _task
    cdef object _error
    cdef bint _is_ahead
    cdef bint _is_waiting

    cdef bint step(self) except -1:
        if self._is_ahead:
            self._is_ahead = False
            return self._settle(self._is_waiting)
        if self._task is None:
            self._task = current_task()
        return self._settle(Call.step(self))

    cdef bint throw_in(self, object error) except -1:
        # Ahead of its task, which has been cancelled meanwhile.
        if self._is_ahead:
            self._is_ahead = False
            if not self._is_waiting:
                if self._error is None:
                    raise error
                return self._settle(False)
            if isinstance(error, CancelledError) and getattr(self.value, "cancel", bool)():
                return True
        return self._settle(Call.throw_in(self, error))

    cdef bint _settle(self, bint waits) except -1:
        if waits:
            if self.value is self._arrival:
                self._arrival.ahead = self
        elif self._error is not None:
            error, self._error = self._error, None
            raise error
        return waits

    cdef go_ahead(self):
        context = self._arrival.context
        self._arrival._asyncio_future_blocking = False  # as a task does that begins to wait
        PyContext_Enter(context)
        try:
            _enter_task(self._arrival._loop, self._task)
            try:
                self._is_waiting = Call.step(self)
            except BaseException as error:
                self._is_waiting = False
                self._error = error
            finally:
                _leave_task(self._arrival._loop, self._task)
        finally:
            PyContext_Exit(context)
        if self._arrival.ahead is not self:  # another task waits now, and this one is woken
            self._is_ahead = True
        elif not self._is_waiting or self.value is not self._arrival:
            self._is_ahead = True
            self._arrival.ahead = None
            self._arrival.arrive()


def iterator_of(awaitable):
    if isinstance(awaitable, Awaitable):
        return awaitable.__await__()
    if isawaitable(awaitable):
        return awaitable  # a generator that types.coroutine() has marked
    raise TypeError(f"object {type(awaitable).__name__} can't be used in 'await' expression")


cpdef drive(object handler, Arrival arrival):
    cdef Drive call = Drive.__new__(Drive)
    call.inner = handler if isinstance(handler, Coroutine) else iterator_of(handler)
    call._arrival = arrival
    return call


set_am_send(Drive)
