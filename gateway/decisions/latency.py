"""How long something takes lately: the 95th percentile over a short window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_REFRESH_EVERY = 8
_FEWEST = 5
"""With fewer samples one accident would look like the rule."""


class LatencyWindow:
    """The newest samples, none older than ``horizon_s``; asking is cheap.

    What is too slow is not started, so nothing but the age of its samples can clear it: the
    horizon is how long a bad moment is held against a stage.
    """

    def __init__(
        self, now_s: Callable[[], float], samples: int = 128, horizon_s: float = 5.0
    ) -> None:
        """``now_s`` is monotonic seconds."""
        self._now_s = now_s
        self._horizon_s = horizon_s
        self._samples: deque[tuple[float, int]] = deque(maxlen=samples)
        self._p95_us = 0
        self._unseen = 0
        self._computed_s = float("-inf")

    def add(self, spent_us: int) -> None:
        """Note one sample."""
        self._samples.append((self._now_s(), spent_us))
        self._unseen += 1

    @property
    def p95_us(self) -> int:
        """Return the 95th percentile in microseconds; 0: nothing is known lately.

        Recomputed every few samples and at least once a second.
        """
        now_s = self._now_s()
        if self._unseen >= _REFRESH_EVERY or now_s - self._computed_s >= 1.0 or not self._p95_us:
            self._compute(now_s)
        return self._p95_us

    def _compute(self, now_s: float) -> None:
        while self._samples and now_s - self._samples[0][0] > self._horizon_s:
            self._samples.popleft()
        ordered = sorted(spent_us for _, spent_us in self._samples)
        known = len(ordered) >= _FEWEST
        self._p95_us = ordered[int(0.95 * (len(ordered) - 1))] if known else 0
        self._unseen = 0
        self._computed_s = now_s
