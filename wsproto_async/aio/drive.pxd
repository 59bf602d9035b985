from .arrival cimport Arrival

cpdef drive(object handler, Arrival arrival)
