"""Writes the rows of the attacks as tables into the page about them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ATTACKS = Path(__file__).parent.parent / "tests" / "attacks"
sys.path.insert(0, str(ATTACKS))

from client_rows import CLIENT_ROWS  # noqa: E402
from held import HELD  # noqa: E402

from wsproto_async.testing.conformance.rows import ROWS  # noqa: E402

MARK = "<!-- What follows is written by `make docs`, from the rows. -->\n"


def write(page: Path) -> None:
    """Write the tables into the page, leaving it untouched if they are the same as before."""
    text = page.read_text(encoding="utf-8")
    written = with_rows(text)
    if text != written:
        page.write_text(written, encoding="utf-8")


def with_rows(text: str) -> str:
    """Return the page with the tables of now."""
    before, mark, _ = text.partition(MARK)
    assert mark, "the page does not say where they begin"
    return "\n".join([before + mark, *lines()]).rstrip() + "\n"


def lines() -> Iterator[str]:
    yield "## What is sent to a server"
    yield from table(
        ["", "what is sent", "expected"],
        merged((row.id, row.title, str(row.expect)) for row in ROWS),
    )
    yield "## What is sent to a client"
    yield "Frames are as above, without a mask. The opening handshake:\n"
    yield from table(
        ["", "what is answered", "raised"],
        merged((row.id, row.title, row.raises or "nothing: it opens") for row in CLIENT_ROWS),
    )
    yield "## What the code itself has to hold"
    yield from table(
        ["", "what", "held by"], ((held.id, held.title, f"`{held.test}`") for held in HELD)
    )


def merged(rows: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Join the titles of rows that expect the same, and have the same id."""
    titles: dict[tuple[str, str], list[str]] = {}
    for id, title, expect in rows:
        titles.setdefault((id, expect), []).append(title)
    for (id, expect), found in titles.items():
        yield id, "; ".join(found), expect


def table(head: list[str], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(map(escaped, row))} |"
    yield ""


def escaped(text: str) -> str:
    if text.startswith("`"):
        return text
    return "".join(f"\\{char}" if char in "\\|*_<>[]`'\"" else char for char in text)
