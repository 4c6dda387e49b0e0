"""How old an artifact is by its own signed limits.

Age never tears anything down: it turns into one of three words that bands, modes and
answers use. A negative age (a clock that was set back) counts as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum


class Freshness(IntEnum):
    """Fresh, stale (used with raised thresholds) or expired (models are not used)."""

    FRESH = 1
    STALE = 2
    EXPIRED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessLimits:
    """Signed limits of one channel: ``fresh_for <= usable_for``."""

    fresh_for: timedelta
    usable_for: timedelta

    def judge(self, age: timedelta) -> Freshness:
        """Return the word for ``age``; both limits are inclusive."""
        if age <= self.fresh_for:
            return Freshness.FRESH
        return Freshness.STALE if age <= self.usable_for else Freshness.EXPIRED


def age_at(as_of: datetime, evaluation_time: datetime) -> timedelta:
    """Return how old something of ``as_of`` is at ``evaluation_time``, never negative."""
    return max(evaluation_time - as_of, timedelta(0))
