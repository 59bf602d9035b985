"""Finding the application that the command line names."""

from __future__ import annotations

import importlib
import os
import sys
from inspect import isclass, iscoroutinefunction, isfunction, ismethod, signature
from types import TracebackType
from typing import Any, Final

from ..aio.serve import serve
from ..aio.websocket import WebSocket

__all__ = ["NotThere", "load_handler", "load_options", "own_frames"]

# What all processes share: it is there before the module is loaded.
_ELSEWHERE: Final = {"backlog", "broker", "host", "port", "reuse_port", "sock"}


class NotThere(Exception):
    """What was named is not there; the text says what."""


def load_handler(name: str) -> Any:
    """Return the coroutine function ``name``; raises what ``_load`` raises."""
    found = _load(name, "handler")
    if not callable(found):
        raise NotThere(f"{name!r} cannot be called")
    is_plain = isfunction(found) or ismethod(found)
    if isclass(found) or (is_plain and not iscoroutinefunction(found)):
        raise NotThere(f"{name!r} is no coroutine function")
    try:
        signature(found).bind(None)
    except TypeError:
        raise NotThere(f"{name!r} cannot be called with a connection alone") from None
    return found


def load_options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of ``serve`` in the dict ``name``, but for those that are ``given``.

    Raises what ``_load`` raises, and NotThere for what cannot be, or not with those.
    """
    found = _load(name, "options")
    if not isinstance(found, dict):
        raise NotThere(f"{name!r} is no dict")
    for option in sorted(_ELSEWHERE & found.keys()):
        why = "where to listen and the broker are said on the command line"
        raise NotThere(f"{name!r} has {option!r}: {why}")
    more = {option: value for option, value in found.items() if option not in given}
    try:
        serve(WebSocket.wait_closed, 0, **given, **more)
    except (TypeError, ValueError) as exc:
        raise NotThere(f"{name!r}: {exc}") from None
    return more


def _load(name: str, what: str) -> Any:
    """Return ``name``: ``module:attribute``, from the working directory or installed.

    Raises NotThere. What the module itself raises while it is imported is left alone.
    """
    module_name, colon, path = name.partition(":")
    if not colon or not all(map(str.isidentifier, [*module_name.split("."), *path.split(".")])):
        raise NotThere(f"{name!r} is not of the form module:{what}")
    if module_name.endswith(".py"):
        raise NotThere(
            f"{name!r} names a file; {module_name.removesuffix('.py')}:{path} is its module"
        )
    try:
        here = os.getcwd()
    except FileNotFoundError:
        raise NotThere("the working directory is not there any more") from None
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{module_name}.".startswith(f"{exc.name}."):
            raise  # one that the module imports
        raise NotThere(f"no module named {exc.name!r}") from None
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise NotThere(f"module {module_name!r} has no {path!r}") from None
    return found


def own_frames(exc: BaseException) -> TracebackType | None:
    """Return the traceback from where the module's own code begins, None if it never did."""
    traceback = exc.__traceback__
    while traceback is not None and _is_of_import(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback


def _is_of_import(path: str) -> bool:
    return path.startswith((os.path.dirname(__file__), "<frozen importlib")) or (
        path == importlib.__file__
    )
