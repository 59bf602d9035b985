"""Which build of the package this is."""

from __future__ import annotations

from typing import Final

from .sansio import connection

__all__ = ["compiled"]

compiled: Final = not (connection.__file__ or "").endswith(".py")
"""True if the hot modules are extension modules, made from their source by Cython; they are all,
or none is. The other build does the same, slower."""
