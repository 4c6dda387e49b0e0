"""Counts over a trailing span of days, per key, without ever looking ahead.

Every point-in-time feature is such a count: "lines of this product in the four weeks that
ended with last week". A history sorts its events once and answers each query by binary
search, so a feature cannot see the day it is asked on unless the caller passes that day.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Days are 1..365; one spare bit leaves room for negative spans, which clip to 0.
_DAY_BITS = 9


class History:
    """Events (key, day) with one integer weight each, ready for range queries."""

    def __init__(self, key: Ints, day: Ints, weight: Ints) -> None:
        """Sort the events; keys are non-negative and below 2**54, days 1..511."""
        stamp = (key << _DAY_BITS) | day
        order = np.argsort(stamp, kind="stable")
        self._stamps = stamp[order]
        self._weights = np.concatenate([[0], np.cumsum(weight[order], dtype=np.int64)])

    def between(self, key: Ints, after: Ints, through: Ints) -> tuple[Ints, Ints]:
        """Return (count, summed weight) of each key's events with after < day <= through."""
        low = self._position(key, after)
        high = np.maximum(self._position(key, through), low)
        return high - low, self._weights[high] - self._weights[low]

    def _position(self, key: Ints, day: Ints) -> Ints:
        """Return how many events sort at or before (key, day), counting earlier keys."""
        stamp = (key << _DAY_BITS) | np.clip(day, 0, (1 << _DAY_BITS) - 1)
        return np.searchsorted(self._stamps, stamp, side="right").astype(np.int64)


def rate(count: Ints, hits: Ints) -> Floats:
    """Return hits / count, NaN where nothing was counted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 0, hits / np.maximum(count, 1), np.nan)
