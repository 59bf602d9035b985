"""Runs of ``bench``, and what they show."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from wsproto_async.cli.bench import run as run_module


@pytest.fixture
def bench(run: Callable) -> Callable[..., Any]:
    """Run it with ``--json``, and give the status and the object."""

    def bench(port: int, *arguments: str) -> tuple[int, dict[str, Any]]:
        status, out, err = run("bench", f"ws://127.0.0.1:{port}/", "--json", *arguments)
        assert err == ""
        return status, json.loads(out)

    return bench


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for what does not come back."""
    monkeypatch.setattr(run_module, "GRACE", 0.1)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Terminal]:
    """Come to a terminal; in the test itself, since pytest takes stdout before it."""

    def terminal(columns: int = 100) -> Terminal:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(columns))
        return terminal

    return terminal
