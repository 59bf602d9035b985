"""Finding the application that the command line names."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

__all__ = ["NotThere", "load"]


class NotThere(Exception):
    """What was named is not there; the text says what."""


def load(name: str) -> Any:
    """Return the callable ``name``: ``module:attribute``, from the working directory or installed.

    Raises NotThere. What the module itself raises while it is imported is left alone.
    """
    module_name, colon, path = name.partition(":")
    if not colon or not all(map(str.isidentifier, [*module_name.split("."), *path.split(".")])):
        raise NotThere(f"{name!r} is not of the form module:handler")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
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
    if not callable(found):
        raise NotThere(f"{name!r} cannot be called")
    return found
