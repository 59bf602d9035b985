"""``start`` a program; it is gone after the test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import Program, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program that is given as source."""
    with ExitStack() as stack:

        def start(source: str) -> Program:
            path = tmp_path / "program.py"
            path.write_text(source, encoding="utf-8")
            program = Program([sys.executable, str(path)], tmp_path)
            stack.callback(program.clean_up)
            return program

        yield start
