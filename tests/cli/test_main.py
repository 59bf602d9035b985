"""The command line as a whole."""

from __future__ import annotations

import io
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import PATIENCE

import wsproto_async
from wsproto_async.cli.main import main, parser

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"wsproto-async ((?:serve|connect|bench|doctor) (?:\\\n|[^`\n|<])+)")
TOLD = {
    command.replace("\\\n", " ").strip()
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    for command in COMMAND.findall(page.read_text(encoding="utf-8"))
    if not command.endswith(("--help", "...")) and "... " not in command
}


@pytest.mark.parametrize("command", sorted(TOLD))
def test_what_the_pages_tell_to_type(command: str) -> None:
    words = shlex.split(command)
    parser().parse_args("ws://localhost/" if word == "URL" else word for word in words)


@pytest.mark.parametrize("name", ["serve", "connect", "bench", "doctor"])
def test_the_examples_of_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(name, "--help") == 0
    text = capsys.readouterr().out.partition("examples:\n")[2].partition("\n\n")[0]
    examples = COMMAND.findall(text)
    assert len(examples) >= 3
    for command in examples:
        words = shlex.split(command.replace("\\\n", " "))
        parser().parse_args("ws://localhost/" if word == "URL" else word for word in words)


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


def shell(redirections: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with ``>&-`` and the like."""
    program = [sys.executable, "-m", "wsproto_async", *arguments, "--no-proxy"]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such shell")
@pytest.mark.parametrize("redirections", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_closed_descriptors(echo_port: int, closed_port: int, redirections: str) -> None:
    for command in ("connect", "doctor"):
        ended = shell(redirections, command, f"ws://127.0.0.1:{echo_port}/")
        assert (ended.returncode, ended.stderr) == (0, "")
    ended = shell(redirections, "doctor", f"ws://127.0.0.1:{closed_port}/", "--json")
    assert (ended.returncode, ended.stderr) == (3, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device is always full")
@pytest.mark.parametrize("command", [("doctor",), ("connect", "--json-lines", "--linger", "0")])
def test_what_cannot_be_written(echo_port: int, command: tuple[str, ...]) -> None:
    ended = shell(">/dev/full", *command, f"ws://127.0.0.1:{echo_port}/")
    assert ended.returncode == 1
    assert ended.stderr == "wsproto-async: error: cannot write: No space left on device\n"


def test_ctrl_c_outside_of_a_loop(
    run: Callable,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
    interrupt: Callable[[], None],
) -> None:
    class Output(io.StringIO):
        encoding = "utf-8"

        def write(self, text: str) -> int:
            interrupt()
            return len(text)

    monkeypatch.setattr(sys, "stdout", Output())
    status = run("doctor", f"ws://127.0.0.1:{closed_port}/", "--no-proxy", "--json").status
    assert status == 130
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
