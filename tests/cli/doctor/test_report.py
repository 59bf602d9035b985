"""The report on a terminal."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable

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


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_no_password(run: Callable, closed_port: int, arguments: tuple[str, ...]) -> None:
    outcome = run("doctor", f"ws://ada:secret@127.0.0.1:{closed_port}/", "--no-proxy", *arguments)
    assert outcome.status == 3
    assert "secret" not in outcome.out
    if arguments:
        assert json.loads(outcome.out)["url"] == f"ws://127.0.0.1:{closed_port}/"
