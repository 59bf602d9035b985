"""Talking to a server at a terminal, which is a pseudo terminal here."""

from __future__ import annotations

import signal
import stat
from collections.abc import Callable
from pathlib import Path

CLEARED = "\r\x1b[J"


def test_a_conversation(terminal: Callable, echo_port: int, history: Path) -> None:
    there = terminal(f"ws://127.0.0.1:{echo_port}/", "--no-compression")
    there.wait_until_ready()
    for keys, shown in [
        ("hello", f"{CLEARED}< hello\r\n> "),
        ('{"a":[1]}', f'{CLEARED}< {{\r\n    "a": [\r\n      1\r\n    ]\r\n  }}\r\n> '),
        ("//close", f"{CLEARED}< /close\r\n> "),
        ("/binary 1b 5b 41", f"{CLEARED}< binary, 3 bytes\r\n  00000000  1b 5b 41"),
        ("/binary 1", "* hex digits come in pairs: /binary 00 ff"),
        ("/ping", "* pong after "),
        ("/help", "* /ping [TEXT]            measure the round-trip time\r\n"),
        ("/quit now", "* no command /quit: /help lists them, //quit now sends it\r\n> "),
        ("/close soon", "* soon is no close code\r\n> "),
        ("/close 1006", "* close code 1006 may not be sent: use 1000 or 3000-4999\r\n> "),
        ("/close 4000 done", "* this side closed the connection with 4000 (private use) done\r\n"),
    ]:
        there.type(f"{keys}\r")
        there.wait_for(shown.removeprefix(CLEARED))
    assert there.end() == 0
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    lines = history.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("hello", "/close 4000 done")


def test_messages_while_a_line_is_typed(terminal: Callable, talker: object) -> None:
    there = terminal(f"ws://127.0.0.1:{talker.port}/", "--subprotocol", "none")
    talker.accept()
    there.wait_until_ready()
    there.type("half")
    there.wait_for("half")
    talker.send("first\x1b[2J\nsecond\x9b")
    there.wait_for(f"{CLEARED}< first\\x1b[2J\r\n  second\\x9b\r\n> half")
    there.type("way\x01-")  # Ctrl-A: to the beginning of the line
    there.wait_for("-")
    talker.send("x")
    there.wait_for("< x\r\n> -halfway")
    there.type("\r")
    assert talker.recv() == "-halfway"
    there.wait_for("\r\n> ")
    # On two rows: both are erased.
    there.type("y" * 100)
    there.wait_for("y" * 20)
    talker.send("z")
    there.wait_for(f"\x1b[1A{CLEARED}< z\r\n> yyy")
    there.type("\r")
    assert talker.recv() == "y" * 100
    talker.close(1011, "\x1b[31m")
    there.wait_for("* the server closed the connection with 1011 (internal error) \\x1b[31m\r\n")
    assert there.end() == 1


def test_keys_that_end_it(terminal: Callable, talker: object) -> None:
    url = f"ws://127.0.0.1:{talker.port}/"
    there = terminal(url)
    talker.accept()
    there.wait_until_ready()
    there.type("once\r")
    assert talker.recv() == "once"
    there.wait_for("> ")
    there.type("\x04")
    there.wait_for("* this side closed the connection with 1000 (OK)\r\n")
    assert there.end() == 0

    there = terminal(url)
    talker.accept()
    there.wait_until_ready()
    there.type("\x1b[A\r")  # the line before, which the first one has left
    assert talker.recv() == "once"
    there.wait_for("> ")
    there.type("not sent")
    there.wait_for("not sent")
    there.type("\x03")
    there.wait_for("* this side closed the connection with 1001 (going away)\r\n")
    assert there.end() == 130, there.shown[-800:]
    assert "Traceback" not in there.shown
    assert talker.ws.close_code == 1001


def test_without_readline(terminal: Callable, talker: object) -> None:
    there = terminal(f"ws://127.0.0.1:{talker.port}/", before="sys.modules['readline'] = None")
    talker.accept()
    there.wait_until_ready()
    there.type("half")
    there.wait_for("half")
    talker.send("message")
    there.wait_for("< message\r\n> ")
    there.type("way\r")
    assert talker.recv() == "halfway"
    talker.close(1000, "")
    assert there.end() == 0


def test_many_messages_at_once(terminal: Callable, talker: object) -> None:
    there = terminal(f"ws://127.0.0.1:{talker.port}/")
    talker.accept()
    there.wait_until_ready()
    for number in range(3000):
        talker.send(f"message {number}")
    for number in range(3000):
        there.wait_for(f"< message {number}\r\n")
    there.process.send_signal(signal.SIGINT)
    assert there.end() == 130, there.shown[-800:]
