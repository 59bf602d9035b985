"""Commands as values: packed when they are written, since scripts get the name of the server's run.

Of what is called often, with other data each time, all but the data is packed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, cast

import hiredis

from .scripts import Script

__all__ = ["Arguments", "Call", "pack"]

Arguments: TypeAlias = tuple[str | bytes | int, ...]

_EMPTY: Final = b"0\r\n\r\n"  # what ends a command whose last argument is empty, after the "$"

pack = cast("Callable[[Arguments], bytes]", hiredis.pack_command)  # whose types are too narrow


class Call:
    """A command, or with ``script`` what follows the digest: how many keys, the keys, the rest.

    A script gets the name of the server's run after the keys.
    """

    __slots__ = ("_arguments", "_head", "_script", "_server")

    def __init__(self, *arguments: str | bytes | int, script: Script | None = None) -> None:
        self._arguments = arguments
        self._script = script
        self._server: str | None = None
        self._head = b""

    def pack(self, server: str, data: bytes | None) -> bytes:
        """Return the bytes of the call; ``data``, if not None, is its last argument."""
        if data is None:
            return pack(self._complete(server))
        if server != self._server:
            self._server = server
            self._head = pack((*self._complete(server), b"")).removesuffix(_EMPTY)
        return b"%b%d\r\n%b\r\n" % (self._head, len(data), data)

    def _complete(self, server: str) -> Arguments:
        script, arguments = self._script, self._arguments
        if script is None:
            return arguments
        keys = 1 + int(arguments[0])
        return ("EVALSHA", script.digest, *arguments[:keys], server, *arguments[keys:])
