"""Commands that wait until it is known which server has their slot."""

from __future__ import annotations

from .command import Command
from .commands import MAX_AWAY

__all__ = ["Held"]


class Held:
    """By slot: first what a server has had and refused, then what came since; true if any."""

    def __init__(self) -> None:
        self._slots: dict[int, tuple[list[Command], list[Command]]] = {}

    def __bool__(self) -> bool:
        return bool(self._slots)

    def begin(self, slot: int) -> None:
        """Let what comes for a slot wait."""
        self._slots.setdefault(slot, ([], []))

    def put(self, command: Command) -> bool:
        """Let a command wait if its slot does."""
        waiting = self._slots.get(command.call.slot)
        if waiting is None:
            return False
        waiting[1].append(command)
        return True

    def put_back(self, command: Command, now: float) -> None:
        """Let a command wait that a server has not done, for 10 s in all."""
        if command.refused_at is None:
            command.refused_at = now
        command.written_at = None
        if now > command.refused_at + MAX_AWAY:
            command.fail("no server of the cluster has its slot")
            return
        self.begin(command.call.slot)
        self._slots[command.call.slot][0].append(command)

    def take(self) -> list[Command]:
        """Return all, and let nothing wait any more."""
        slots, self._slots = self._slots, {}
        return [command for waiting in slots.values() for half in waiting for command in half]
