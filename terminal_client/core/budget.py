"""One call's time: what it may take, what each stage got, where it went.

Owns the arithmetic only; the caller brings the clock (monotonic microseconds). The ledger
is a chain of marks: an entry's ``spent_us`` is the wall time since the entry before it, so
entries never overlap and their sum is the time the call took, however the work was laid out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from terminal_client.core.decision import StageResult, StageSpend

_MICROSECOND = timedelta(microseconds=1)


def call_budget(
    deadline: timedelta | None, requested: timedelta | None, totals: Iterable[timedelta]
) -> timedelta | None:
    """Return the shortest of the limits; None when there is none.

    Args:
        deadline: time left of the transport's deadline, if it has one.
        requested: the caller's own budget, if it named one.
        totals: budgets of the interactive workflows asked for.
    """
    limits = [limit for limit in (deadline, requested) if limit is not None]
    return min([*limits, *totals], default=None)


def in_microseconds(span: timedelta) -> int:
    """Return ``span`` in whole microseconds, rounded down."""
    return span // _MICROSECOND


class Budget:
    """The time of one call; not for two calls, not for two threads."""

    def __init__(self, total_us: int, started_us: int) -> None:
        """``started_us`` is when the call came in, on the caller's monotonic clock."""
        self.total_us = total_us
        self.started_us = started_us
        self._mark_us = started_us
        self._ledger: list[StageSpend] = []

    @property
    def ledger(self) -> tuple[StageSpend, ...]:
        """Return the entries so far."""
        return tuple(self._ledger)

    @property
    def spent_us(self) -> int:
        """Return the sum of the ledger."""
        return self._mark_us - self.started_us

    def left_us(self, now_us: int) -> int:
        """Return what is left, never negative."""
        return max(self.total_us - (now_us - self.started_us), 0)

    def allot(self, wanted_us: int, expected_us: int, reserve_us: int, now_us: int) -> int:
        """Return how long a stage may take; 0: not worth starting.

        Args:
            wanted_us: the policy's allotment for it.
            expected_us: how long it takes lately (p95); 0: not known.
            reserve_us: what later stages need before the call's time is up.
            now_us: the clock.
        """
        allotted_us = min(wanted_us, self.left_us(now_us) - reserve_us)
        return allotted_us if allotted_us > 0 and expected_us <= allotted_us else 0

    def mark(
        self,
        stage: str,
        now_us: int,
        allotted_us: int,
        result: StageResult = StageResult.RAN,
        workflow: str = "",
    ) -> int:
        """Close a stage: it gets all wall time since the last mark. Returns that time."""
        spent_us = max(now_us - self._mark_us, 0)
        self._mark_us += spent_us
        self._add(stage, spent_us, allotted_us, result, workflow)
        return spent_us

    def skip(self, stage: str, result: StageResult, workflow: str = "") -> None:
        """Note a stage that was not started."""
        self._add(stage, 0, 0, result, workflow)

    def _add(
        self, stage: str, spent_us: int, allotted_us: int, result: StageResult, workflow: str
    ) -> None:
        self._ledger.append(
            StageSpend(
                workflow=workflow,
                stage=stage,
                spent_us=spent_us,
                allotted_us=max(allotted_us, 0),
                result=result,
            )
        )
