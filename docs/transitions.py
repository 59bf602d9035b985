"""Draws the connection's state machine from the very table that runs it.

``write`` makes two files that the design page includes: a table, and a drawing whose colours are
those of the text around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from textwrap import wrap

from wsproto_async.sansio.state import TRANSITIONS, Cause, State

# In pixels: a state's box, the space between two, the lanes above and below the row, a text line.
BOX, HEIGHT, GAP = 116, 44, 126
LANE, RADIUS, MARGIN, LINE = 36, 10, 6, 17


def write(folder: Path) -> None:
    """Write transitions.md and transitions.svg, touching neither if it is the same as before."""
    folder.mkdir(exist_ok=True)
    for name, text in ("transitions.md", table()), ("transitions.svg", drawing()):
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def table() -> str:
    """One row for each state, one column for each cause; a dash where the cause cannot occur."""
    rows = [["in state", *(cause.value for cause in Cause)], ["---"] * (len(Cause) + 1)]
    for state in State:
        targets = (TRANSITIONS.get((state, cause)) for cause in Cause)
        rows.append([f"**{state.name}**", *("-" if to is None else to.name for to in targets)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def arrows() -> dict[tuple[State, State], list[str]]:
    """(from, to) -> the causes; what changes nothing is left to the table."""
    found: dict[tuple[State, State], list[str]] = {}
    for (state, cause), to in TRANSITIONS.items():
        if state != to:
            found.setdefault((state, to), []).append(cause.value)
    return found


def drawing() -> str:
    """The states in a row, an arrow to the right between neighbours, the others around them."""
    straight = {pair: causes for pair, causes in arrows().items() if pair[1] - pair[0] == 1}
    around = {pair: causes for pair, causes in arrows().items() if pair not in straight}
    lanes = dict(assign_lanes(around))
    above = max((lane for lane in lanes.values() if lane > 0), default=0)
    below = max((-lane for lane in lanes.values() if lane < 0), default=0)

    top = MARGIN + above * LANE + (14 if above else 0)
    width = 2 * MARGIN + len(State) * BOX + (len(State) - 1) * GAP
    height = top + HEIGHT + below * LANE + MARGIN + (6 if below else 0)

    parts = []
    for state in State:
        left = MARGIN + state * (BOX + GAP)
        parts.append(
            f'<rect x="{left}" y="{top}" width="{BOX}" height="{HEIGHT}" rx="8" fill="none"/>'
            + label(left + BOX // 2, top + HEIGHT // 2 + 5, state.name, "600")
        )
    for (start, _), causes in straight.items():
        x, y = MARGIN + start * (BOX + GAP) + BOX, top + HEIGHT // 2
        parts.append(arrow(f"M{x} {y}H{x + GAP - 2}"))
        lines = wrap(" or ".join(causes), 17)
        for number, line in enumerate(reversed(lines)):
            parts.append(label(x + GAP // 2, y - 8 - number * LINE, line))
    for (start, end), causes in around.items():
        lane = lanes[start, end]
        # The wider an arrow's span, the further out it leaves and arrives: none cross.
        shift = (abs(lane) - 1) * 18
        x1 = MARGIN + start * (BOX + GAP) + BOX * 3 // 4 - shift
        x2 = MARGIN + end * (BOX + GAP) + BOX // 4 + shift
        edge, turn, sweep = (top, -RADIUS, 1) if lane > 0 else (top + HEIGHT, RADIUS, 0)
        y = edge - lane * LANE
        corner = f"a{RADIUS} {RADIUS} 0 0 {sweep} {RADIUS}"
        parts.append(
            arrow(
                f"M{x1} {edge}V{y - turn}{corner} {turn}"
                f"H{x2 - RADIUS}{corner} {-turn}V{edge + (2 if lane < 0 else -2)}"
            )
        )
        parts.append(label((x1 + x2) // 2, y - 8, " or ".join(causes)))

    title = "The states of a connection, and what leads from one to the next"
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}" '
        'style="width: 100%; height: auto" stroke="currentColor" stroke-width="1.5">'
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L10 5L0 10z" fill="currentColor" '
        f'stroke="none"/></marker></defs>{"".join(parts)}</svg>\n'
    )


def assign_lanes(pairs: Iterable[tuple[State, State]]) -> Iterator[tuple[tuple[State, State], int]]:
    """Give each arrow a lane of its own: 1, 2, ... above the row, -1, -2, ... below it."""
    used = {1: 0, -1: 0}
    for pair in sorted(pairs, key=lambda pair: (pair[1] - pair[0], pair)):
        side = 1 if used[1] <= used[-1] and pair[0] == min(State) else -1
        used[side] += 1
        yield pair, side * used[side]


def arrow(path: str) -> str:
    return f'<path d="{path}" fill="none" marker-end="url(#head)"/>'


def label(x: int, y: int, text: str, weight: str = "400") -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="middle" font-size="14" font-weight="{weight}" '
        f'fill="currentColor" stroke="none">{escape(text)}</text>'
    )
