"""The terminal: its keys, its modes, its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import PATIENCE, eventually

from wsproto_async.cli.connect.terminal import rows_above


def test_keys_while_messages_are_printed(terminal: Callable, talker: object) -> None:
    """None is lost, however long that takes."""
    there = terminal(f"ws://127.0.0.1:{talker.port}/")
    talker.accept()
    there.wait_until_ready()
    flood = [*["x" * 200] * 1000, "last"]
    there.type("helXX")
    there.wait_for("helXX")
    talker.begin_to_send(flood)
    there.wait_until_full()
    there.type("\x7f\x7flo\r")
    there.wait_for("< last\r\n")
    assert talker.recv() == "hello"

    talker.begin_to_send(flood)
    there.wait_until_full()
    there.type("\x04")
    there.wait_for("* this side closed the connection with 1000 (OK)\r\n")
    assert there.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_it(
    terminal: Callable, talker: object, history: Path, number: signal.Signals
) -> None:
    there = terminal(f"ws://127.0.0.1:{talker.port}/")
    talker.accept()
    there.wait_until_ready()
    there.type("typed\r")
    assert talker.recv() == "typed"
    there.wait_for("> ")
    there.process.send_signal(number)
    there.wait_for("* this side closed the connection with 1001 (going away)\r\n")
    modes = there.modes()
    assert there.end() == 128 + number
    assert modes == there.first_modes
    assert history.read_text() == "typed\n"
    assert talker.ws.close_code == 1001


def test_it_is_resumed(terminal: Callable, talker: object) -> None:
    """After Ctrl-Z and what a shell does then."""
    there = terminal(f"ws://127.0.0.1:{talker.port}/")
    talker.accept()
    there.wait_until_ready()
    there.type("half")
    there.wait_for("half")
    there.process.send_signal(signal.SIGSTOP)
    os.waitpid(there.process.pid, os.WUNTRACED)
    there.set_modes(there.first_modes)
    there.process.send_signal(signal.SIGCONT)
    there.wait_for("> half")
    there.type("XX")
    there.wait_for("XX")
    there.type("\x7f\x7f\r")
    assert talker.recv() == "half"


def test_the_window_is_closed(terminal: Callable, talker: object, history: Path) -> None:
    there = terminal(f"ws://127.0.0.1:{talker.port}/")
    talker.accept()
    there.wait_until_ready()
    there.type("typed\r")
    assert talker.recv() == "typed"
    there.close_window()
    assert there.process.wait(PATIENCE) > 128
    assert history.read_text() == "typed\n"
    eventually(lambda: talker.ws.close_code == 1001)


def test_what_the_locale_does_not_have(terminal: Callable, talker: object, history: Path) -> None:
    history.parent.mkdir()
    history.write_text("first\n日\n", encoding="utf-8")
    there = terminal(f"ws://127.0.0.1:{talker.port}/", locale="C")
    talker.accept()
    there.wait_until_ready()
    there.type("\x1b[A\r")
    assert talker.recv() == "first"
    there.wait_for("> ")
    talker.close(1000, "")
    assert there.end() == 0
    assert history.read_text(encoding="utf-8") == "first\n日\nfirst\n"


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])  # as the locale has it
def test_bytes_that_are_no_characters(terminal: Callable, talker: object, errors: str) -> None:
    before = f"sys.stdin.reconfigure(errors={errors!r})"
    there = terminal(f"ws://127.0.0.1:{talker.port}/", before=before)
    talker.accept()
    there.wait_until_ready()
    for line in ("a\udcff", "/ping \udcff", "/close 1000 \udcff"):
        there.type(f"{line}\r")
        there.wait_for("* that line is not UTF-8; /binary HEX sends binary\r\n> ")
    there.type("fine\r")
    assert talker.recv() == "fine"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", 0),
        ("x" * 79, 0),
        ("x" * 80, 1),
        ("x" * 160, 2),
        ("日" * 39, 0),
        ("日" * 40, 1),
        ("x" + "日" * 79, 2),  # no half of one fits into the last column
        ("e\u0301" * 79, 0),
        ("x\t" * 9, 0),
        ("x\t" * 10, 1),
        ("\x01\x7f" * 19, 0),  # ^A^?
        ("\x01\x7f" * 20, 1),
        ("two\nrows", 1),
    ],
)
def test_the_rows_that_a_text_takes(text: str, rows: int) -> None:
    assert rows_above(text, 80) == rows
