"""A release whose tag, version and changelog do not fit together is stopped."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
assert SPEC is not None
assert SPEC.loader is not None
release = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(release)

CHANGELOG = """# Changelog

## Unreleased

## 1.2.3 - 2027-01-31

- This is new.

## 1.2.2 - 2027-01-01

- That was new.
"""


def test_release_that_fits() -> None:
    assert release.complaints("v1.2.3", "1.2.3", CHANGELOG) == []
    assert release.sections(CHANGELOG)["1.2.3"] == "- This is new."


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "complaint"),
    [
        ("v1.2.4", "1.2.3", CHANGELOG, "the tag is v1.2.4"),
        ("1.2.3", "1.2.3", CHANGELOG, "the tag is 1.2.3"),
        ("v1.2.4", "1.2.4", CHANGELOG, "says nothing of 1.2.4"),
        ("v1.2.3", "1.2.3", CHANGELOG.replace("- This is new.", ""), "says nothing of 1.2.3"),
        ("v1.2.3", "1.2.3", CHANGELOG.replace("Unreleased", "Unreleased\n\n- x"), "unreleased"),
        ("v1.2.3", "1.2.3", CHANGELOG.replace("3 - 2027-01-31", "3"), "no date"),
    ],
)
def test_release_that_does_not(tag: str, version: str, changelog: str, complaint: str) -> None:
    (found,) = release.complaints(tag, version, changelog)
    assert complaint in found


def test_workflows_ask_for_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    workflows = [path.read_text() for path in (ROOT / ".github" / "workflows").iterdir()]
    asked = {
        target
        for text in workflows
        for line in re.findall(r"make (?:--silent )?([a-z -]+)", text)
        for target in line.split()
    }
    assert asked
    assert asked <= targets


def test_only_publishing_gets_more_than_reading() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert text.count("id-token: write") == text.count("contents: write") == 1
    assert "secrets." not in text
