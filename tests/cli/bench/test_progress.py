"""What is going on, for whoever looks at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from wsproto_async.cli.bench.progress import showing


def test_with_rich(terminal: Callable) -> None:
    screen = terminal()
    with showing(10, is_shown=True) as show:
        show(5, "[red]7 messages/s")
    assert "[red]7 messages/s" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")  # gone


def test_without_rich(terminal: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    screen = terminal()
    with showing(10, is_shown=True) as show:
        show(5, "7 messages/s")
        assert screen.getvalue().rstrip() == "\r  5 of 10 s: 7 messages/s"
    assert screen.getvalue().endswith("\r" + " " * 99 + "\r")


def test_a_narrow_terminal_has_one_line(
    terminal: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone at the end, also if that comes early."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    screen = terminal(columns=20)
    with pytest.raises(KeyboardInterrupt), showing(10, is_shown=True) as show:
        show(5, "7 messages/s")
        raise KeyboardInterrupt
    assert screen.getvalue() == "\r  5 of 10 s: 7 mess\r" + " " * 19 + "\r"


def test_not_wanted(terminal: Callable) -> None:
    screen = terminal()
    with showing(10, is_shown=False) as show:
        show(5, "7 messages/s")
    assert screen.getvalue() == ""


def test_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with showing(10, is_shown=True) as show:
        show(5, "7 messages/s")
    assert capsys.readouterr() == ("", "")
