cimport cython

from ..codec.frames cimport encode_frame, encode_header
from ..codec.parser cimport FrameParser
from .messages cimport MessageAssembler
from .state cimport Lifecycle

cdef Py_ssize_t ENCODED_STEP
cdef int _FRAME_COST
cdef Py_ssize_t _LONG_PIECE
cdef Py_ssize_t MAX_PAYLOAD
cdef int OP_BINARY
cdef int OP_CLOSE
cdef int OP_CONTINUATION
cdef int OP_PING
cdef int OP_PONG
cdef int OP_TEXT
cdef object CONNECTING
cdef object OPEN
cdef object _CLOSE_SENT
cdef object _EOF


cdef class Connection(Lifecycle):
    # What sending a message looks at comes first: it is then in one line of the cache.
    cdef list _output
    cdef readonly object codec
    cdef readonly bint sending_message
    cdef bint _is_client
    cdef bint _is_encoding
    cdef bint _ended
    cdef bint _eof
    cdef bint _hold_pongs
    cdef bint _is_shaking_hands
    cdef public bint drop_messages
    cdef readonly bint eof_due
    cdef public bint hold_failure
    cdef readonly bint received_first
    cdef readonly Py_ssize_t output_size
    cdef object _http
    cdef FrameParser _parser
    cdef MessageAssembler _assembler
    cdef bytes _held_pong
    cdef object _failure
    cdef public object partial_limit
    cdef readonly object error
    cdef readonly object close_sent
    cdef readonly object close_received
    cdef readonly unsigned long long frames
    cdef public unsigned long long messages_sent

    cpdef receive_data(self, object data)
    cpdef borrow_data(self, bytes data, Py_ssize_t size)
    cpdef return_data(self)
    cpdef receive_eof(self)
    cpdef next_event(self)
    cpdef bint is_partial_held(self) except -1
    cpdef set_budget(self, Py_ssize_t size)
    cpdef bint is_over_budget(self) except -1
    cpdef bint is_idle(self) except -1
    cpdef bint is_amid_frame(self) except -1
    cpdef bint is_failure_held(self) except -1
    cpdef Py_ssize_t buffered_message(self) except -1
    cpdef take_partial(self)
    cpdef _parse_handshake(self)
    cpdef _use_extension(self, object codec)
    cpdef _http_ended(self, bytes rest)
    @cython.locals(assembler=MessageAssembler)
    cdef _parse(self)
    @cython.locals(
        parser=FrameParser,
        assembler=MessageAssembler,
        limit=cython.Py_ssize_t,
        payload=bytes,
    )
    cdef _parse_frames(self)
    cdef _receive_control(self, int opcode, bytes payload)
    cdef _fail(self, object error)
    cpdef _end(self, object close)
    @cython.locals(output=list)
    cpdef bytes data_to_send(self)
    cpdef list take_output(self)
    cpdef send_message(self, int opcode, bytes payload, bint fin=*, object compress=*)
    cdef _message_sent(self, bint fin)
    cdef _check_no_message(self)
    cdef _send_control(self, int opcode, bytes payload)
    cdef _send_close(self, object close)
    cdef _send_frame(self, int opcode, bytes payload, bint fin=*, int rsv=*)
    cpdef send_frame(self, bytes frame)
    cpdef bint is_clear(self) except -1
    cpdef _write(self, bytes data)
    cpdef check_open(self)
    cpdef closed_error(self)
    cpdef bint is_closed_ok(self) except -1
