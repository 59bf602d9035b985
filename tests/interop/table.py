"""The outcome of the matrix as two tables of Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from matrix import CANNOT, PEERS
from scenarios import SCENARIOS

Cell = tuple[str, str, str]  # role, peer, scenario

TITLES = {"client": "Clients with our server", "server": "Servers with our client"}


def format_tables(passed: Mapping[Cell, bool]) -> str:
    """Format what each cell's runs amount to; an impossible cell is a dash."""
    return "\n".join(
        f"## {TITLES[role]}\n\n{_format_table(role, passed)}\n{_format_reasons(role)}"
        for role in PEERS
    )


def _format_table(role: str, passed: Mapping[Cell, bool]) -> str:
    rows = [["", *SCENARIOS], ["---"] * (1 + len(SCENARIOS))]
    for peer in PEERS[role]:
        cannot = CANNOT.get((role, peer), {})
        row = [peer]
        for scenario in SCENARIOS:
            is_passed = passed.get((role, peer, scenario))
            marks = {True: "yes", False: "**no**", None: "not run"}
            row.append("-" if scenario in cannot else marks[is_passed])
        rows.append(row)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _format_reasons(role: str) -> str:
    lines = []
    for (found, peer), cannot in CANNOT.items():
        if found == role:
            reasons = list(dict.fromkeys(cannot.values()))
            lines.append(f"- {peer} {', '.join(reasons)}.\n")
    return "A dash is what the peer cannot do:\n\n" + "".join(lines)
