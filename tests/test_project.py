"""What holds for the project as a whole: its README, its reference, what its files may name."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wsproto_async
from wsproto_async.aio.protocol import Owner

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference.md"
MADE_BY_TOOLS = {"node_modules", "build", "dist", "htmlcov", "_build", "_generated", "__pycache__"}

DOCUMENTED = set(
    re.findall(
        r"auto(?:class|function|exception|data|method):: (?:\w+\.)*(\w+)(?:\(\))?$",
        REFERENCE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
NAMES = sorted(wsproto_async.__all__)
CLASSES = [name for name in NAMES if inspect.isclass(getattr(wsproto_async, name))]


def test_readme_holds_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^make demo\b", readme, re.MULTILINE)
    assert re.search(r"^make test\b", readme, re.MULTILINE)


def test_all_is_sorted_and_complete() -> None:
    assert sorted(set(wsproto_async.__all__)) == sorted(wsproto_async.__all__)
    public = {
        name
        for name, value in vars(wsproto_async).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public - {"annotations"} == set(wsproto_async.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_documented(name: str) -> None:
    value = getattr(wsproto_async, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        assert own, "no docstring of its own"
    assert name in DOCUMENTED, f"not in {REFERENCE.name}"


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_is_documented(name: str) -> None:
    undocumented = [
        member
        for member, value in vars(getattr(wsproto_async, name)).items()
        if not member.startswith("_")
        and not hasattr(Owner, member)  # how a protocol calls a server: not for users
        and (inspect.isroutine(value) or isinstance(value, property))
        and not inspect.getdoc(value)
    ]
    assert not undocumented


def files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in MADE_BY_TOOLS
            and not name.endswith(".egg-info")
            and (name == ".ci" or not name.startswith("."))
        ]
        for name in names:
            if not name.startswith((".coverage", ".git")) or name == ".gitignore":
                yield Path(folder, name)


def texts() -> Iterator[tuple[str, str]]:
    for path in files():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a path of one machine", r"(?<![\w.~-])/(?:work|root|home|Users)/\w"),
        ("an issue's number", r"\b(?:[Ii]ssue|[Pp]ull request|PR|GH)[ -]?#?\d+\b"),
    ],
)
def test_no_file_names(what: str, pattern: str) -> None:
    found = [
        f"{name}: {match[0]}" for name, text in texts() for match in re.finditer(pattern, text)
    ]
    assert not found, f"names {what}"


def test_lock_files_name_no_registry() -> None:
    for path in files():
        if path.name == "package-lock.json":
            packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
            assert not [name for name, package in packages.items() if "resolved" in package]
