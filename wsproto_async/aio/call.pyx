"""Coroutines whose steps are C calls: the base of those in calls.pyx and drive.pyx.

An interpreter awaits what has ``am_send`` without an exception for the value that comes back, and
without a frame. Cython has no word for that slot.
"""

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF

cdef extern from *:
    """
    static void set_slot(PyTypeObject *type, int (*send)(PyObject *, PyObject *, PyObject **)) {
        type->tp_as_async->am_send = (sendfunc)send;
    }
    """
    void set_slot(PyTypeObject *type, int (*send)(PyObject *, PyObject *, PyObject **) except -1)
    # 0: it has returned the result; 1: it waits for it.
    int PyIter_Send(object iterator, object value, PyObject **result) except -1


cdef class Call:
    """A coroutine: ``step`` does what is to be done up to the next wait, or to the end.

    ``step`` and ``throw_in`` return True if it waits, and leave in ``value`` what for, or what
    it comes to. By default the coroutine ``inner`` does the work. A subclass needs
    ``set_am_send``.
    """

    cdef bint step(self) except -1:
        cdef PyObject *result = NULL
        cdef bint waits = PyIter_Send(self.inner, None, &result)
        self.value = <object>result
        Py_DECREF(self.value)
        return waits

    cdef bint throw_in(self, object error) except -1:
        throw = getattr(self.inner, "throw", None)  # an iterator need not have it
        if throw is None:
            self.give_up()
            raise error
        try:
            self.value = throw(error)
        except StopIteration as stop:
            self.value = stop.value
            return False
        return True

    cdef give_up(self):
        """Nobody will go on with it."""
        close = getattr(self.inner, "close", None)
        if close is not None:
            close()

    cdef go_ahead(self):
        """Go on before the task that awaits it does."""

    cdef bint _go_on(self) except -1:
        if self._is_done:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self.is_begun = self._is_done = True
        self._is_done = not self.step()
        return not self._is_done

    def __await__(self):
        return self

    def __iter__(self):
        return self  # for a ``yield from`` what ``__await__`` gives

    def __next__(self):
        return self.send(None)

    cdef object _take_value(self):
        """Return ``value``, and keep nothing of it: what is done may be used again."""
        value, self.value = self.value, None
        return value

    def send(self, value):
        if self._go_on():
            return self._take_value()
        raise StopIteration(self._take_value())

    def throw(self, kind, value=None, traceback=None):
        error = kind if value is None else value
        if isinstance(error, type):
            error = error()
        if traceback is not None:
            error = error.with_traceback(traceback)
        if self._is_done:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self.is_begun = self._is_done = True
        self._is_done = not self.throw_in(error)
        if self._is_done:
            raise StopIteration(self._take_value())
        return self._take_value()

    def close(self):
        self.is_begun = self._is_done = True
        self.give_up()


cdef int am_send(PyObject *self, PyObject *value, PyObject **result) except -1:
    cdef Call call = <Call>self
    result[0] = NULL
    cdef bint waits = call._go_on()
    taken = call._take_value()
    Py_INCREF(taken)
    result[0] = <PyObject *>taken
    return waits


cdef set_am_send(object kind):
    set_slot(<PyTypeObject *>kind, am_send)
