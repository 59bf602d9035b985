"""What was typed before: a file of lines that only its owner can read."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["add_to_history", "history_file", "read_history"]

_LINES: Final = 1000


def history_file() -> Path:
    """Return where the history is: in the folder that the XDG base directories name for state."""
    folder = os.environ.get("XDG_STATE_HOME", "")
    state = Path(folder) if os.path.isabs(folder) else Path.home() / ".local" / "state"
    return state / "wsproto_async" / "history"


def read_history(path: Path) -> list[str]:
    """Return the lines, the oldest first; none if there is no such file, or none to be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:]
    except OSError:
        return []


def add_to_history(path: Path, lines: list[str]) -> None:
    """Append lines and forget the oldest; what others have added meanwhile stays.

    Does nothing where no file can be written: that is no reason to fail.
    """
    if not lines:
        return
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = [*read_history(path), *lines][-_LINES:]
        # Readable for its owner alone from the first moment on, and never half written.
        handle, name = tempfile.mkstemp(dir=path.parent)
        with open(handle, "w", encoding="utf-8", errors="replace") as file:
            file.writelines(f"{line}\n" for line in kept)
        os.replace(name, path)
