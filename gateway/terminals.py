"""The registers of the store as control last heard of them. In memory: they say it again.

Owns who is heard, silent or new, and each one's clock. Refuses to decide anything by it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

HEARTBEAT_INTERVAL = timedelta(seconds=15)
SILENT_AFTER = 3 * HEARTBEAT_INTERVAL
MAX_TERMINALS = 512
"""More than any store has: whoever sends other names pushes out the longest silent ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """One register. ``clock_skew`` is its clock less the box's."""

    workstation_id: str
    heard: datetime
    client_version: str = ""
    fallback_digest: str = ""
    clock_skew: timedelta | None = None
    spooled_decisions: int = 0
    fallback_decisions: int = 0
    compared_decisions: int = 0
    agreed_decisions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercised:
    """Comparisons of a register's own answers with the box's since its last heartbeat."""

    agreed: int
    differed: int


class Terminals:
    """Every register heard of."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._known: OrderedDict[str, Terminal] = OrderedDict()

    def introduce(
        self,
        workstation_id: str,
        *,
        client_version: str,
        fallback_digest: str,
        terminal_time: datetime | None,
    ) -> None:
        """Note a Hello: the register has started, its counts start again."""
        self._note(
            Terminal(
                workstation_id=workstation_id,
                heard=self._clock(),
                client_version=client_version,
                fallback_digest=fallback_digest,
                clock_skew=self._skew(terminal_time),
            )
        )

    def beat(self, reported: Terminal, terminal_time: datetime | None) -> Exercised:
        """Note a heartbeat; return what was compared since the one before."""
        before = self._known.get(reported.workstation_id)
        known = before or Terminal(workstation_id=reported.workstation_id, heard=self._clock())
        # Counts that went down come from a register that has started anew.
        restarted = reported.compared_decisions < known.compared_decisions
        base_compared = 0 if restarted else known.compared_decisions
        base_agreed = 0 if restarted else known.agreed_decisions
        self._note(
            replace(
                reported,
                heard=self._clock(),
                client_version=known.client_version,
                clock_skew=self._skew(terminal_time),
            )
        )
        if before is None:
            # Not known since when: what was compared in an earlier life of the box is counted.
            return Exercised(agreed=0, differed=0)
        compared = reported.compared_decisions - base_compared
        agreed = min(max(reported.agreed_decisions - base_agreed, 0), compared)
        return Exercised(agreed=agreed, differed=compared - agreed)

    def all(self) -> tuple[Terminal, ...]:
        """Return every register known, the longest unheard first."""
        return tuple(self._known.values())

    def silent(self, terminal: Terminal) -> bool:
        """Tell whether a register has missed three heartbeats."""
        return self._clock() - terminal.heard > SILENT_AFTER

    def _note(self, terminal: Terminal) -> None:
        self._known[terminal.workstation_id] = terminal
        self._known.move_to_end(terminal.workstation_id)
        while len(self._known) > MAX_TERMINALS:
            self._known.popitem(last=False)

    def _skew(self, terminal_time: datetime | None) -> timedelta | None:
        return None if terminal_time is None else terminal_time - self._clock()
