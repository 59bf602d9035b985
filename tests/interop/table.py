"""The outcome of the matrix as two tables of Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from matrix import CANNOT, PEERS

Cell = tuple[str, str, str]  # role, peer, scenario

TITLES = {"client": "Clients with our server", "server": "Servers with our client"}

# The scenario of a column, or those of our side and of theirs.
COLUMNS = {
    "messages": ["messages"],
    "fragments": ["our fragments", "their fragments"],
    "compressed": ["compressed"],
    "pings": ["our pings", "their pings"],
    "subprotocol": ["subprotocol"],
    "close": ["we close", "they close"],
    "death": ["we die", "they die"],
}


def format_tables(passed: Mapping[Cell, bool]) -> str:
    """Format what each cell's runs amount to."""
    return "\n".join(
        f"### {TITLES[role]}\n\n{_format_table(role, passed)}\n{_format_reasons(role)}"
        for role in PEERS
    )


def _format_table(role: str, passed: Mapping[Cell, bool]) -> str:
    rows = [["", *COLUMNS], ["---"] * (1 + len(COLUMNS))]
    rows += (
        [peer, *(_format_cell(role, peer, scenarios, passed) for scenarios in COLUMNS.values())]
        for peer in PEERS[role]
    )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _format_cell(role: str, peer: str, scenarios: list[str], passed: Mapping[Cell, bool]) -> str:
    cannot = CANNOT.get((role, peer), {})
    possible = [scenario for scenario in scenarios if scenario not in cannot]
    if not all(passed.get((role, peer, scenario), False) for scenario in possible):
        return "**no**"
    if len(possible) == len(scenarios):
        return "yes"
    return "ours" if possible else "-"


def _format_reasons(role: str) -> str:
    lines = []
    for (found, peer), cannot in CANNOT.items():
        if found == role:
            reasons = list(dict.fromkeys(cannot.values()))
            lines.append(f"- {peer} {', '.join(reasons)}.\n")
    return "What a peer cannot do:\n\n" + "".join(lines)
