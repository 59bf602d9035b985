"""Sec-WebSocket-Extensions: its grammar, and the choice of one extension (RFC 6455 9.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..exceptions import InvalidExtension, InvalidHeader
from ..extensions.base import Codec, Extension, Parameters
from .headers import Headers

__all__ = [
    "Extensions",
    "accept_extension",
    "check_extensions",
    "finalize_extension",
    "format_offers",
]

_HEADER: Final = "Sec-WebSocket-Extensions"
_CHAR: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TOKEN: Final = rf"{_CHAR}++"
_NAME: Final = re.compile(rf"[ \t]*+({_TOKEN})[ \t]*+")
_PARAMETER: Final = re.compile(
    rf'[ \t]*+({_TOKEN})[ \t]*+(?:=[ \t]*+(?:({_TOKEN})|"((?:\\?{_CHAR})++)")[ \t]*+)?'
)
_NOTHING: Final = re.compile(r"[ \t]*+(?=,|\Z)")


def parse_extensions(headers: Headers) -> list[tuple[str, Parameters]]:
    """Return the extensions that a message names, in their order.

    Raises InvalidHeader if the field is malformed. Takes time linear in its length.
    """
    extensions = []
    for value in headers.get_all(_HEADER):
        pos = 0
        while True:
            if empty := _NOTHING.match(value, pos):
                pos = empty.end()
            else:
                name, parameters, pos = _parse_extension(value, pos)
                extensions.append((name, parameters))
            if pos == len(value):
                break
            if value[pos] != ",":
                raise InvalidHeader(f"{_HEADER} is malformed")
            pos += 1
    return extensions


def _parse_extension(value: str, pos: int) -> tuple[str, Parameters, int]:
    match = _NAME.match(value, pos)
    if match is None:
        raise InvalidHeader(f"{_HEADER} is malformed")
    name = match[1]
    parameters: list[tuple[str, str | None]] = []
    while value.startswith(";", match.end()):
        match = _PARAMETER.match(value, match.end() + 1)
        if match is None:
            raise InvalidHeader(f"{_HEADER} is malformed")
        key, token, quoted = match.groups()
        # RFC 6455 9.1: what the quotes hold must be a token, and means the same without them.
        parameters.append((key, token if quoted is None else quoted.replace("\\", "")))
    return name, parameters, match.end()


def _format(name: str, parameters: Parameters) -> str:
    parts = [name, *(key if value is None else f"{key}={value}" for key, value in parameters)]
    return "; ".join(parts)


class Extensions(tuple[Extension, ...]):
    """Extensions that go together: what ``check_extensions`` returned."""

    __slots__ = ()


def check_extensions(extensions: Sequence[Extension]) -> Extensions:
    """Return the extensions, checked: those that many connections share are checked once.

    Raises TypeError for what is no extension and ValueError for two of one name.
    """
    if isinstance(extensions, Extensions):
        return extensions
    checked = Extensions(extensions)
    for extension in checked:
        if not isinstance(extension, Extension):
            raise TypeError(f"extensions must hold Extension objects, not {extension!r}")
    if len({extension.name for extension in checked}) < len(checked):
        raise ValueError("extensions are not all different")
    return checked


def format_offers(extensions: Sequence[Extension]) -> str:
    """Return a client's header value, empty for no extension."""
    return ", ".join(_format(extension.name, extension.offer()) for extension in extensions)


def accept_extension(
    headers: Headers, supported: Sequence[Extension]
) -> tuple[str, Codec] | tuple[None, None]:
    """Return a server's header value and codec for the client's first acceptable offer.

    Raises InvalidHeader if the field is malformed.
    """
    offers = parse_extensions(headers)
    if not offers:
        return None, None
    by_name = {extension.name: extension for extension in supported}
    for name, parameters in offers:
        accepted = by_name[name].accept(parameters) if name in by_name else None
        if accepted is not None:
            return _format(name, accepted[0]), accepted[1]
    return None, None


def finalize_extension(headers: Headers, offered: Sequence[Extension]) -> Codec | None:
    """Return a client's codec for what the server accepted; None if it accepted nothing.

    Raises InvalidHeader if the field is malformed and InvalidExtension if it does not fit.
    """
    accepted = parse_extensions(headers)
    if not accepted:
        return None
    if len(accepted) > 1:
        raise InvalidExtension("server chose several extensions")
    name, parameters = accepted[0]
    for extension in offered:
        if extension.name == name:
            return extension.finalize(parameters)
    raise InvalidExtension(f"server chose extension {name}, not offered")
