"""Numbers on the command line, and the bounds that they have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..workers.run import LONGEST

__all__ = ["number", "seconds"]


def number(
    kind: Callable[[str], Any], least: float, most: float | None = None
) -> Callable[[str], Any]:
    """Return a type for argparse: a number from ``least`` to ``most``, None for no such bound."""

    def parse(text: str) -> Any:
        value = kind(text)
        if not value >= least or (most is not None and value > most):
            wanted = f"at least {least:g}" if most is None else f"from {least:g} to {most:.15g}"
            raise argparse.ArgumentTypeError(f"must be {wanted}")
        return value

    parse.__name__ = kind.__name__  # for argparse's messages
    return parse


def seconds(least: float) -> Callable[[str], Any]:
    """Return a type for argparse: seconds, ``least`` or more, and not over a day."""
    return number(float, least, LONGEST)
