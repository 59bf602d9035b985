"""What is going on, for whoever looks at a terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from wsproto_async.cli.bench.progress import showing


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Come to a terminal; in the test itself, since pytest takes stdout before it."""

    def enter() -> Terminal:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "100")
        return terminal

    return enter


def test_with_rich(enter: Callable) -> None:
    terminal = enter()
    with showing(10, is_shown=True) as show:
        show(5, "[red]7 messages/s")
    assert "[red]7 messages/s" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")  # gone


def test_without_rich(enter: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    terminal = enter()
    with showing(10, is_shown=True) as show:
        show(5, "7 messages/s")
        assert terminal.getvalue().rstrip() == "\r  5 of 10 s: 7 messages/s"
    assert terminal.getvalue().endswith("\r" + " " * 79 + "\r")


def test_not_wanted(enter: Callable) -> None:
    terminal = enter()
    with showing(10, is_shown=False) as show:
        show(5, "7 messages/s")
    assert terminal.getvalue() == ""


def test_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with showing(10, is_shown=True) as show:
        show(5, "7 messages/s")
    assert capsys.readouterr() == ("", "")
