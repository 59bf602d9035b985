"""The command line as a program, with an application in its working directory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import Program

ECHO = """
async def handler(ws):
    async for message in ws:
        await ws.send(message)

number = 5

class rooms:
    lobby = handler
"""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start ``python -m wsproto_async``; ``app:handler`` is there."""
    (tmp_path / "app.py").write_text(ECHO, encoding="utf-8")
    with ExitStack() as stack:

        def command(*arguments: str) -> Program:
            program = Program([sys.executable, "-m", "wsproto_async", *arguments], tmp_path)
            stack.callback(program.clean_up)
            return program

        yield command
