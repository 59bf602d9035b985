"""Finding what the command line names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsproto_async.cli.application import NotThere, load


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory of its own; what is imported from there is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_name_in_a_module_here(folder: Path) -> None:
    (folder / "of_mine.py").write_text("class Rooms:\n def lobby(ws): return 1\n")
    assert load("of_mine:Rooms.lobby")(None) == 1


def test_a_module_in_a_package(folder: Path) -> None:
    (folder / "parcel").mkdir()
    (folder / "parcel" / "inner.py").write_text("def handler(ws): return 2\n")
    assert load("parcel.inner:handler")(None) == 2


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("of_mine", "'of_mine' is not of the form module:handler"),
        ("of_mine:", "'of_mine:' is not of the form module:handler"),
        ("of mine:x", "'of mine:x' is not of the form module:handler"),
        (".of_mine:x", "'.of_mine:x' is not of the form module:handler"),
        ("not_here:x", "no module named 'not_here'"),
        ("not_here.nor_here:x", "no module named 'not_here'"),
        ("of_mine.nor_here:x", "no module named 'of_mine.nor_here'"),
        ("of_mine:missing", "module 'of_mine' has no 'missing'"),
        ("of_mine:number.missing", "module 'of_mine' has no 'number.missing'"),
        ("of_mine:number", "'of_mine:number' cannot be called"),
    ],
)
def test_what_is_not_there(folder: Path, name: str, why: str) -> None:
    (folder / "of_mine.py").write_text("number = 5\n")
    with pytest.raises(NotThere) as caught:
        load(name)
    assert str(caught.value) == why


@pytest.mark.parametrize("code", ["import not_here_at_all", "raise ImportError('x')", "1 / 0"])
def test_what_the_module_raises_is_left_alone(folder: Path, code: str) -> None:
    (folder / "failing.py").write_text(code)
    with pytest.raises((ImportError, ZeroDivisionError)):
        load("failing:handler")
