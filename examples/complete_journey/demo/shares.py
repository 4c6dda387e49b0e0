"""Shares and spreads: the two kinds of numbers a report is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Share:
    """``part`` of ``whole``, both counts."""

    part: int = 0
    whole: int = 0

    @classmethod
    def of(cls, hits: Iterable[bool]) -> Self:
        """Return how many of ``hits`` are true."""
        seen = list(hits)
        return cls(sum(seen), len(seen))

    @property
    def value(self) -> float | None:
        """Return the share in ``[0, 1]``; None of nothing."""
        return self.part / self.whole if self.whole else None

    def at_least(self, floor: float) -> bool:
        """Tell whether the share reaches ``floor``; a share of nothing reaches none."""
        return self.value is not None and self.value >= floor

    def __add__(self, other: Share) -> Share:
        return Share(self.part + other.part, self.whole + other.whole)


@dataclass(frozen=True, slots=True)
class Spread:
    """Exact percentiles by nearest rank: each is a value that was really measured."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


def spread(values: Iterable[float]) -> Spread | None:
    """Return the spread of ``values``, None where there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Spread(
        len(ordered),
        nearest_rank(ordered, 50),
        nearest_rank(ordered, 95),
        nearest_rank(ordered, 99),
        ordered[-1],
    )


def nearest_rank(ordered: list[float], percent: int) -> float:
    """Return the smallest value that at least ``percent`` % of ``ordered`` do not exceed.

    ``ordered`` rises and is not empty; ``percent`` is in ``[1, 100]``.
    """
    # In whole numbers: 0.95 * 20 is not 19 in floating point everywhere.
    return ordered[math.ceil(percent * len(ordered) / 100) - 1]
