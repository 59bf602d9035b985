"""Basic authentication (RFC 7617), as a hook of the opening handshake."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Awaitable, Callable, Sequence
from secrets import compare_digest

from typing_extensions import TypeIs

from ..handshake.http11 import Request, Response
from .websocket import WebSocket

__all__ = ["basic_auth"]

Credentials = tuple[str, str]
CheckCredentials = Callable[[str, str], Awaitable[bool] | bool]


def basic_auth(
    realm: str = "",
    credentials: Credentials | Sequence[Credentials] | None = None,
    check_credentials: CheckCredentials | None = None,
) -> Callable[[WebSocket, Request], Awaitable[Response | None]]:
    """Return a hook for ``process_request`` that lets in who has a user name and its password.

    ``credentials`` is one pair of them or several. Else ``check_credentials(username, password)``
    tells if a pair is right; it may be a coroutine function. ``realm`` is what a browser shows.
    Who is let in is in ``ws.username``, others get a 401.

    Raises TypeError unless exactly one of the two is given, and ValueError for a realm that HTTP
    cannot carry. Send credentials over TLS only.
    """
    if (credentials is None) == (check_credentials is None):
        raise TypeError("basic_auth() needs either credentials or check_credentials")
    if credentials is not None:
        pairs = [credentials] if _is_pair(credentials) else credentials
        check_credentials = _checker(pairs)
    assert check_credentials is not None
    check = check_credentials
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    challenge = {"WWW-Authenticate": f'Basic realm="{quoted}", charset="UTF-8"'}
    Response(401, headers=challenge)

    async def authenticate(ws: WebSocket, request: Request) -> Response | None:
        found = _decode(request.headers.get_all("Authorization"))
        if found is not None:
            is_right = check(*found)
            if inspect.isawaitable(is_right):
                is_right = await is_right
            if is_right:
                ws.username = found[0]
                return None
        return Response(401, headers=challenge, body="authentication is required\n")

    return authenticate


def _is_pair(credentials: Credentials | Sequence[Credentials]) -> TypeIs[Credentials]:
    return all(isinstance(each, str) for each in credentials)


def _checker(pairs: Sequence[Credentials]) -> CheckCredentials:
    known = [(user.encode(), password.encode()) for user, password in pairs]

    def check(username: str, password: str) -> bool:
        # All of it, whatever is wrong: the time that it takes must tell nothing.
        found = username.encode(), password.encode()
        is_right = False
        for user, secret in known:
            is_right |= compare_digest(found[0], user) & compare_digest(found[1], secret)
        return is_right

    return check


def _decode(values: list[str]) -> tuple[str, str] | None:
    if len(values) != 1:
        return None
    scheme, _, encoded = values[0].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(" "), validate=True).decode()
    except ValueError:
        return None
    username, colon, password = decoded.partition(":")
    return (username, password) if colon else None
