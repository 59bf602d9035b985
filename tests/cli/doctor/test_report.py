"""The report on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from wsproto_async.cli.doctor.report import Problem, Report


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("has_rich", [True, False])
def test_colours_where_rich_is(monkeypatch: pytest.MonkeyPatch, has_rich: bool) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not has_rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    report = Report(quiet=False)
    report.ok("DNS", "[red]" + "x" * 200, 0.1)
    report.fail("TCP", "no", Problem("Why.", "server", "Do."), 3)
    report.verdict()
    green, red, off = ("\x1b[32m", "\x1b[1;31m", "\x1b[0m") if has_rich else ("", "", "")
    assert terminal.getvalue().splitlines() == [
        f"{green}ok      {off} DNS           [red]{'x' * 200} (100 ms)",
        f"{red}failed  {off} TCP           no",
        "         what is wrong: Why.",
        "         on whose side: server",
        "         what to do:    Do.",
        "not healthy: TCP",
    ]
