"""What has been found, step by step: lines for people, an object for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, NoReturn

from ..output import rich_console, write_line
from ..text import duration

__all__ = ["Problem", "Report", "Side", "Stopped"]

State = Literal["ok", "warning", "failed"]
Side = Literal["client", "network", "proxy", "server"]

_COLOURS: Final = {"ok": "green", "warning": "yellow", "failed": "bold red"}
_INDENT: Final = " " * 9


class Problem(NamedTuple):
    """What is wrong, on whose side, and what to do: sentences for a person."""

    why: str
    side: Side
    remedy: str


class Stopped(Exception):
    """A step has failed, and without it there is no next one."""


@dataclass
class Report:
    """Keeps what each step has found; prints it at once, unless it is ``quiet``.

    What is given to it must be free of control characters. ``status`` is the exit status.
    """

    quiet: bool
    status: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._console = None if self.quiet else rich_console()

    def heading(self, text: str) -> None:
        """Begin with another URL."""
        self._print(text)

    def ok(self, step: str, text: str, seconds: float | None = None, **details: Any) -> None:
        """Note what is as it should be."""
        self._note("ok", step, text, seconds, None, details)

    def warn(
        self,
        step: str,
        text: str,
        problem: Problem,
        seconds: float | None = None,
        **details: Any,
    ) -> None:
        """Note what works here and may not elsewhere."""
        self._note("warning", step, text, seconds, problem, details)

    def fail(self, step: str, text: str, problem: Problem, status: int, **details: Any) -> None:
        """Note what is wrong; the first ``status`` counts."""
        self.status = self.status or status
        self._note("failed", step, text, None, problem, details)

    def stop(self, step: str, text: str, problem: Problem, status: int, **details: Any) -> NoReturn:
        """Note what is wrong and ends the examination."""
        self.fail(step, text, problem, status, **details)
        raise Stopped

    def give_up(self) -> NoReturn:
        """End the examination after what has failed."""
        raise Stopped

    def as_object(self, url: str) -> dict[str, Any]:
        """Return the report as JSON has it; times are in seconds."""
        return {
            "url": url,
            "healthy": not self.status,
            "status": self.status,
            "steps": self.steps,
        }

    def verdict(self) -> None:
        """Print the last line."""
        worst: State = "failed" if self.status else "warning"
        names = dict.fromkeys(step["step"] for step in self.steps if step["state"] == worst)
        named = ", ".join(names)
        if self.status:
            self._print(f"not healthy: {named}")
        else:
            self._print(f"healthy, but see {named}" if named else "healthy")

    def _note(
        self,
        state: State,
        step: str,
        text: str,
        seconds: float | None,
        problem: Problem | None,
        details: dict[str, Any],
    ) -> None:
        found: dict[str, Any] = {"step": step, "state": state, "text": text, "seconds": seconds}
        if problem is not None:
            found["problem"] = problem._asdict()
        self.steps.append(found | details)
        time = "" if seconds is None else f" ({duration(seconds)})"
        self._print(f" {step:<14}{text}{time}", state)
        if problem is not None:
            self._print(f"{_INDENT}what is wrong: {problem.why}")
            self._print(f"{_INDENT}on whose side: {problem.side}")
            self._print(f"{_INDENT}what to do:    {problem.remedy}")

    def _print(self, text: str, state: State | None = None) -> None:
        if self.quiet:
            return
        label = "" if state is None else f"{state:<8}"
        if self._console is None:
            write_line(f"{label}{text}".rstrip())
            return
        from rich.text import Text

        style = "" if state is None else _COLOURS[state]
        self._console.print(Text.assemble((label, style), text))
