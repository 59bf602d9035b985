"""All rows. To add one is to write it into the list of its file."""

from .client import CLIENT_ROWS
from .framing import FRAMING
from .handshake import HANDSHAKE
from .held import ABSENT, HELD
from .text import TEXT_AND_DEFLATE
from .transport import TRANSPORT

__all__ = ["ABSENT", "CLIENT_ROWS", "HELD", "ROWS"]

ROWS = [*HANDSHAKE, *FRAMING, *TEXT_AND_DEFLATE, *TRANSPORT]
