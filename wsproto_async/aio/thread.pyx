"""What thread.py does, in a few instructions."""

from cpython.pythread cimport PyThread_get_thread_ident

__all__ = ["current_thread"]


cpdef unsigned long current_thread():
    return <unsigned long>PyThread_get_thread_ident()
