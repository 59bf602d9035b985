"""What a release is held against: its tag, the version in pyproject.toml, and the changelog.

Run: python .ci/release.py check v1.2.3    says what does not fit
     python .ci/release.py notes v1.2.3    prints the changelog's section
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def sections(changelog: str) -> dict[str, str]:
    """Return what stands under each heading of the changelog, by its first word."""
    parts = re.split(r"^## (\S+).*\n", changelog, flags=re.MULTILINE)[1:]
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def complaints(tag: str, version: str, changelog: str) -> list[str]:
    """Return all that speaks against a release."""
    found = sections(changelog)
    wrong = []
    if tag != f"v{version}":
        wrong.append(f"the tag is {tag}, but pyproject.toml says {version}")
    if not found.get(version):
        wrong.append(f"CHANGELOG.md says nothing of {version}")
    if found.get("Unreleased"):
        wrong.append("CHANGELOG.md has changes that are unreleased")
    dated = re.search(rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)
    if found.get(version) and not dated:
        wrong.append(
            f"the heading of {version} in CHANGELOG.md has no date: ## {version} - 2027-01-31"
        )
    return wrong


def main(arguments: list[str]) -> int:
    match arguments:
        case ["check" | "notes" as command, tag]:
            pass
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    if command == "notes":
        print(sections(changelog)[tag.removeprefix("v")])
        return 0
    wrong = complaints(tag, version, changelog)
    for complaint in wrong:
        print(f"release: {complaint}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
