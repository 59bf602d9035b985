"""Commands as values: packed when they are written, since they depend on the server's run.

Of what is called often, with other data each time, all but the data is packed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, cast

import hiredis

from .run import Run
from .scripts import Script
from .slots import slot_of

__all__ = ["PUBLISH", "Arguments", "Call", "pack"]

Arguments: TypeAlias = tuple[str | bytes | int, ...]

PUBLISH: Final = "PUBLISH"
"""Of a call, the command that publishes on a channel, by whatever name the server has it."""

_EMPTY: Final = b"0\r\n\r\n"  # what ends a command whose last argument is empty, after the "$"

pack = cast("Callable[[Arguments], bytes]", hiredis.pack_command)  # whose types are too narrow


class Call:
    """A command, or with ``script`` what follows the digest: how many keys, the keys, the rest.

    Either way the second is a key or a channel, by which a cluster divides its work. A script gets
    the name of the server's run after the keys, and then what publishes.
    """

    __slots__ = ("_arguments", "_head", "_run", "_script", "is_ordered", "slot")

    def __init__(self, *arguments: str | bytes | int, script: Script | None = None) -> None:
        self._arguments = arguments
        self._script = script
        self._run: Run | None = None
        self._head = b""
        self.slot = slot_of(arguments[1]) if len(arguments) > 1 else 0
        """Where a cluster has what it is about."""
        self.is_ordered = arguments[0] == PUBLISH if script is None else script.is_ordered
        """Whether it has to come before those on the slot that were written after it."""

    def pack(self, run: Run) -> bytes:
        """Return the bytes of the call."""
        return pack(self._complete(run))

    def pack_with(self, run: Run, publications: bytes) -> bytes:
        """Return the bytes of the call with publications, each behind its length, as its end."""
        if run is not self._run:
            self._run = run
            self._head = pack((*self._complete(run), b"")).removesuffix(_EMPTY)
        if self._script is None:  # which would put the position before the newline
            return b"%b%d\r\n\n%b\r\n" % (self._head, len(publications) + 1, publications)
        return b"%b%d\r\n%b\r\n" % (self._head, len(publications), publications)

    def _complete(self, run: Run) -> Arguments:
        script, arguments = self._script, self._arguments
        if script is None:
            return (run.publish, *arguments[1:]) if arguments[0] == PUBLISH else arguments
        keys = 1 + int(arguments[0])
        return ("EVALSHA", script.digest, *arguments[:keys], run.id, run.publish, *arguments[keys:])
