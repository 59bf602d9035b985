"""Exit statuses mean the same for every command, and ``--help`` tells them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from wsproto_async.cli import exits

COMMANDS = ["bench", "connect", "doctor"]


def test_every_status_is_told(run: Callable) -> None:
    """By ``--help`` and by the documentation, in the same words."""
    told = dict(re.findall(r"^  (\d+) +(.*)$", run("--help").out, re.MULTILINE))
    statuses = {value for name, value in vars(exits).items() if name.startswith("EXIT_")}
    assert set(map(int, told)) == {0} | statuses
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    written = dict(re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE))
    assert told.keys() == written.keys()
    for status, text in told.items():
        assert written[status].replace("`", "").startswith(text)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_tells_its_own(run: Callable, command: str) -> None:
    outcome = run(command, "--help")
    assert outcome.status == 0
    assert exits.CLIENT_STATUSES in outcome.out
    assert "examples:\n  wsproto-async " in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage_is_one_line(run: Callable, command: str) -> None:
    status, out, err = run(command, "ws://h/", "--swim")
    assert (status, out) == (2, "")
    assert err == (
        "wsproto-async: error: unrecognized arguments: --swim (see wsproto-async --help)\n"
    )
    status, out, err = run(command, "h")
    assert (status, out) == (2, "")
    assert err.startswith(f"wsproto-async {command}: error: argument URL: 'h' is not a ws: or")
    assert err.count("\n") == 1
