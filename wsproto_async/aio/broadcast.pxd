cimport cython

from ..codec.frames cimport encode_frame
from ..sansio.connection cimport Connection
from .data cimport encode_data
from .protocol cimport ProtocolCore
from .sender cimport Sender
from .websocket cimport WebSocketCore

cdef object OPEN


@cython.locals(
    ws=WebSocketCore, protocol=ProtocolCore, connection=Connection, sender=Sender,
    prepared=_PreparedMessage
)
cpdef broadcast(object websockets, object message, object text=*, object compress=*)


cdef class _PreparedMessage:
    cdef int _opcode
    cdef bytes _payload
    cdef bytes _plain
    cdef object _compress
    cdef dict _encoded
    cdef dict _frames

    @cython.locals(frame=bytes, payload=bytes)
    cdef bytes frame(self, object codec, bint is_client)
