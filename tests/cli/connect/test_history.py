"""What was typed before."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from wsproto_async.cli.connect.history import add_to_history, history_file, read_history


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return history_file()


def test_it_is_in_the_folder_for_state(path: Path, tmp_path: Path) -> None:
    assert path == tmp_path / "state" / "wsproto_async" / "history"


@pytest.mark.parametrize("state", ["", "relative"])
def test_without_a_folder_for_state(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", state)
    monkeypatch.setenv("HOME", "/nobody")
    assert history_file() == Path("/nobody/.local/state/wsproto_async/history")


def test_it_is_for_its_owner_alone(path: Path) -> None:
    assert read_history(path) == []
    add_to_history(path, ["first", "sécond"])
    assert read_history(path) == ["first", "sécond"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_others_have_added_stays(path: Path) -> None:
    add_to_history(path, ["mine"])
    add_to_history(path, ["theirs"])
    add_to_history(path, [])
    assert read_history(path) == ["mine", "theirs"]
    assert [each.name for each in path.parent.iterdir()] == ["history"]


def test_the_oldest_are_forgotten(path: Path) -> None:
    add_to_history(path, [str(number) for number in range(1500)])
    assert read_history(path) == [str(number) for number in range(500, 1500)]


def test_no_folder_is_no_reason_to_fail(path: Path) -> None:
    path.parent.parent.write_text("in the way")
    add_to_history(path, ["line"])
    assert read_history(path) == []
