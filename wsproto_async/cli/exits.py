"""How commands end: a status means the same for each of them."""

from __future__ import annotations

import sys
from typing import Final

from ..workers.process import EXIT_USAGE

__all__ = [
    "CLIENT_STATUSES",
    "EXIT_FAILED",
    "EXIT_HUNG_UP",
    "EXIT_INTERRUPTED",
    "EXIT_PIPE",
    "EXIT_REFUSED",
    "EXIT_TERMINATED",
    "EXIT_TLS",
    "EXIT_UNREACHABLE",
    "EXIT_USAGE",
    "STATUSES",
    "UsageError",
    "fail",
]

EXIT_FAILED: Final = 1
EXIT_UNREACHABLE: Final = 3
EXIT_TLS: Final = 4
EXIT_REFUSED: Final = 5
# As shells have it, 128 and the signal's number.
EXIT_HUNG_UP: Final = 129
EXIT_INTERRUPTED: Final = 130
EXIT_PIPE: Final = 141
EXIT_TERMINATED: Final = 143

CLIENT_STATUSES: Final = """\
  2    an option is wrong, or what it needs is not there
  3    the server cannot be reached: its name, the network, the proxy, the time
  4    TLS failed: the certificate is not trusted, or the server speaks no TLS
  5    the server refused the opening handshake, or is no WebSocket server
  129  its terminal was closed (SIGHUP)
  130  interrupted by Ctrl-C
  141  nobody reads the output any more
  143  ended by SIGTERM
"""
"""What all commands that connect to a server have in common."""

STATUSES: Final = f"""\
exit status:
  0    all is well; serve: stopped by a signal
  1    it failed in another way than those below
{CLIENT_STATUSES}"""


class UsageError(Exception):
    """What the command line asks for cannot be; the text says why."""


def fail(why: str, status: int) -> int:
    """Print why the command ends with ``status``, which is returned."""
    print(f"wsproto-async: error: {why}", file=sys.stderr)
    return status
