"""What the documentation shows is what happens.

Every Python block of every page compiles. A block whose first line is a comment that names a
file (``# server.py``) is a program: the programs of one section are written into one folder,
``server.py`` is started, and then each console block is held against what its commands print. 8765
stands for a free port. What pytest prints is compared without the time that it took.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path

import pytest
from ports import Port

import wsproto_async

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_TRACEBACK = {"tutorial.md: Errors in a handler"}  # sections whose server is to log one
PATIENCE = 60  # seconds for a program to start, to end, or to stop

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\w+\.py)\n")
TIME_TAKEN = re.compile(r" in [0-9.]+s$", re.MULTILINE)
# What the page on testing tells to write into pyproject.toml.
PYTEST_OPTIONS = (
    "-p no:cacheprovider -o asyncio_mode=auto -o asyncio_default_fixture_loop_scope=function"
)
COMMAND = re.compile(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@dataclass
class Section:
    """One section of a page: its programs by file name, and (command, output) pairs."""

    title: str
    blocks: list[str] = field(default_factory=list)
    programs: dict[str, str] = field(default_factory=dict)
    commands: list[tuple[list[str], str]] = field(default_factory=list)


def sections(page: Path) -> Iterator[Section]:
    text = page.read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.MULTILINE):
        section = Section(f"{page.name}: {part.splitlines()[0]}")
        for language, code in BLOCK.findall(part):
            if language == "python":
                section.blocks.append(code)
                if match := FILE_NAME.match(code):
                    assert match[1] not in section.programs, "two files of one name in a section"
                    section.programs[match[1]] = code
            elif language == "console":
                section.commands += [
                    (shlex.split(command), output) for command, output in COMMAND.findall(code)
                ]
        yield section


SECTIONS = [section for page in PAGES for section in sections(page)]


def cases(wanted: list[Section]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("section", wanted, ids=[section.title for section in wanted])


@cases([section for section in SECTIONS if section.blocks])
def test_blocks_compile(section: Section) -> None:
    for code in section.blocks:
        compile(code, section.title, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@cases([section for section in SECTIONS if section.programs])
def test_programs_run(section: Section, tmp_path: Path) -> None:
    reserved = Port()
    port = str(reserved.number)
    for name, code in section.programs.items():
        (tmp_path / name).write_text(code.replace("8765", port), encoding="utf-8")

    with contextlib.ExitStack() as stack:
        if "server.py" in section.programs:
            server = tmp_path / "server.py"
            with_traceback = section.title in WITH_TRACEBACK
            stack.enter_context(running(server, int(port), with_traceback=with_traceback))
        ran = set()
        for words, output in section.commands:
            if words[:3] == ["python", "-m", "pytest"]:
                ran |= section.programs.keys() - {"server.py"}
                printed = run([sys.executable, *words[1:]], tmp_path)
                assert TIME_TAKEN.sub("", printed) == TIME_TAKEN.sub("", output)
            elif words[0] == "python":
                ran.add(words[1])
                if words[1] != "server.py":
                    assert run([sys.executable, *words[1:]], tmp_path) == output
            elif words[0] == "curl" and shutil.which("curl"):
                words = [word.replace("8765", port) for word in words]
                assert run([*words, "--noproxy", "*"], tmp_path) == output
        missing = section.programs.keys() - ran - {"server.py"}
        assert not missing, "a console block has to show what each program prints"


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@contextlib.contextmanager
def running(program: Path, port: int, *, with_traceback: bool) -> Iterator[None]:
    """Run a server, which has to listen soon, to log what it should, and to end well on SIGTERM.

    uvicorn does what a server has to do, and then lets the signal end the process.
    """
    log = program.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, program.name],
            cwd=program.parent,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.05)
        yield
        process.send_signal(signal.SIGTERM)
        status = -signal.SIGTERM if "uvicorn" in log.read_text().lower() else 0
        assert process.wait(PATIENCE) == status, log.read_text()
        assert log.read_text().count("Traceback") == with_traceback, log.read_text()
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "PYTEST_ADDOPTS": PYTEST_OPTIONS,
    }


def test_sections_are_found() -> None:
    assert sum(len(section.programs) for section in SECTIONS) >= 10
    assert sum(len(section.commands) for section in SECTIONS) >= 10


def test_the_page_about_attacks_has_the_rows_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """``make docs`` writes them; who reads the page in the repository sees them too."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import attack_rows

    page = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
    assert page == attack_rows.with_rows(page)


MIGRATING = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
OF_OURS = [
    row.split("|")[2] for row in re.findall(r"^\| .* \|$", MIGRATING, re.MULTILINE) if "`" in row
]


@pytest.mark.parametrize(
    "name", sorted({name for cell in OF_OURS for name in re.findall(r"`([^`]+)`", cell)})
)
def test_names_to_migrate_to_exist(name: str) -> None:
    options = {*signature(wsproto_async.serve).parameters}
    options |= {*signature(wsproto_async.connect).parameters}
    of = {
        "ws": wsproto_async.WebSocket,
        "server": wsproto_async.Server,
        "response": wsproto_async.Response,
        "exc": wsproto_async.ConnectionClosed,
    }
    owner, _, attribute = name.partition(".")
    if name.endswith("="):
        assert name.removesuffix("=") in options
    elif re.fullmatch(r"[A-Z]\w+|serve|run|connect|broadcast|\w+_\w+", name):
        assert hasattr(wsproto_async, name) or hasattr(builtins, name)
    elif owner in of and attribute.isidentifier():
        members = {*dir(of[owner]), *getattr(of[owner], "__annotations__", ())}
        assert attribute in members or attribute in signature(of[owner]).parameters
    elif re.fullmatch(r"[a-z_]+(\.\w+)+", name):
        module, _, member = name.rpartition(".")
        assert hasattr(importlib.import_module(module), member)
    else:
        compile(name, name, "eval")
