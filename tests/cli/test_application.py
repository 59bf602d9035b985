"""Finding what the command line names."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsproto_async.cli.application import NotThere, load_handler


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
    (folder / "of_mine.py").write_text("class Rooms:\n async def lobby(ws): return 1\n")
    assert asyncio.run(load_handler("of_mine:Rooms.lobby")(None)) == 1


def test_a_module_in_a_package(folder: Path) -> None:
    (folder / "parcel").mkdir()
    (folder / "parcel" / "inner.py").write_text("async def handler(ws): return 2\n")
    assert asyncio.run(load_handler("parcel.inner:handler")(None)) == 2


@pytest.mark.parametrize("name", ["partly", "thing", "thing.method", "with_default"])
def test_what_is_like_a_coroutine_function(folder: Path, name: str) -> None:
    (folder / "of_mine.py").write_text(
        "from functools import partial\n"
        "async def two(a, ws): return a\n"
        "partly = partial(two, 3)\n"
        "async def with_default(ws, a=3): return a\n"
        "class Thing:\n"
        "  async def __call__(self, ws): return 3\n"
        "  async def method(self, ws): return 3\n"
        "thing = Thing()\n"
    )
    assert asyncio.run(load_handler(f"of_mine:{name}")(None)) == 3


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("of_mine", "'of_mine' is not of the form module:handler"),
        ("of_mine:", "'of_mine:' is not of the form module:handler"),
        ("of mine:x", "'of mine:x' is not of the form module:handler"),
        (".of_mine:x", "'.of_mine:x' is not of the form module:handler"),
        ("of_mine.py:x", "'of_mine.py:x' names a file; of_mine:x is its module"),
        ("not_here:x", "no module named 'not_here'"),
        ("not_here.nor_here:x", "no module named 'not_here'"),
        ("of_mine.nor_here:x", "no module named 'of_mine.nor_here'"),
        ("of_mine:missing", "module 'of_mine' has no 'missing'"),
        ("of_mine:number.missing", "module 'of_mine' has no 'number.missing'"),
        ("of_mine:number", "'of_mine:number' cannot be called"),
        ("of_mine:plain", "'of_mine:plain' is no coroutine function"),
        ("of_mine:Rooms", "'of_mine:Rooms' is no coroutine function"),
        ("json:loads", "'json:loads' is no coroutine function"),
        ("of_mine:none", "'of_mine:none' cannot be called with a connection alone"),
        ("of_mine:Rooms.two", "'of_mine:Rooms.two' cannot be called with a connection alone"),
    ],
)
def test_what_is_not_there(folder: Path, name: str, why: str) -> None:
    (folder / "of_mine.py").write_text(
        "number = 5\n"
        "def plain(ws): pass\n"
        "async def none(): pass\n"
        "class Rooms:\n"
        "  async def two(self, ws): pass\n"
    )
    with pytest.raises(NotThere) as caught:
        load_handler(name)
    assert str(caught.value) == why


@pytest.mark.parametrize("code", ["import not_here_at_all", "raise ImportError('x')", "1 / 0"])
def test_what_the_module_raises_is_left_alone(folder: Path, code: str) -> None:
    (folder / "failing.py").write_text(code)
    with pytest.raises((ImportError, ZeroDivisionError)):
        load_handler("failing:handler")


def test_no_working_directory(folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(NotThere, match="the working directory is not there any more"):
        load_handler("json:loads")
