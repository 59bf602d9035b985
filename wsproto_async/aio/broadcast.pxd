cimport cython

from ..sansio.connection cimport Connection
from .data cimport encode_data
from .prepared cimport PreparedMessage
from .protocol cimport ProtocolCore
from .sender cimport Sender
from .websocket cimport WebSocketCore

cdef object OPEN
cdef object _POLICY


@cython.locals(
    ws=WebSocketCore, protocol=ProtocolCore, connection=Connection, sender=Sender,
    prepared=PreparedMessage
)
cpdef broadcast(object websockets, object message, object text=*, object compress=*)
