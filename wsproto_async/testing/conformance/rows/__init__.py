"""All rows. To add one is to write it into the list of its file."""

from .framing import FRAMING
from .handshake import HANDSHAKE
from .text import TEXT_AND_DEFLATE
from .transport import TRANSPORT

__all__ = ["ROWS"]

ROWS = [*HANDSHAKE, *FRAMING, *TEXT_AND_DEFLATE, *TRANSPORT]
