"""The command line as a whole."""

from __future__ import annotations

import re

import pytest

import wsproto_async
from wsproto_async.cli.main import main


def status_of(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("--version") == 0
    build = "compiled" if wsproto_async.compiled else "pure Python"
    assert re.fullmatch(rf"wsproto_async \S.*, {build}\n", capsys.readouterr().out)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("--help") == 0
    assert "serve WebSocket connections" in capsys.readouterr().out
    assert status_of("serve", "--help") == 0
    output = capsys.readouterr().out
    assert "examples:\n  wsproto-async serve chat:handler --port 8765\n" in output
    assert "exit status:\n  0  stopped by a signal\n" in output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: COMMAND"),
        (["swim"], "invalid choice: 'swim'"),
        (["serve"], "required: HANDLER"),
        (["serve", "app:handler", "--port", "65536"], "--port: must be from 0 to 65535"),
        (["serve", "app:handler", "--port", "x"], "--port: invalid int value: 'x'"),
        (["serve", "app:handler", "--workers", "0"], "--workers: must be at least 1"),
        (["serve", "app:handler", "--grace", "nan"], "--grace: must be from 0 to 86400"),
        (["serve", "app:handler", "--grace", "1e12"], "--grace: must be from 0 to 86400"),
        (["serve", "app:handler", "--ping-interval", "inf"], "must be from 0.001 to 86400"),
        (["serve", "app:handler", "--ping-timeout", "x"], "invalid float value: 'x'"),
        (["serve", "app:handler", "--heartbeat-timeout", "1"], "must be from 2 to 86400"),
        (["serve", "app:handler", "--heartbeat-timeout", "inf"], "must be from 2 to 86400"),
    ],
)
def test_wrong_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert status_of(*arguments) == 2
    assert complaint in capsys.readouterr().err.splitlines()[-1]
