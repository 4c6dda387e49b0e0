"""The breaker of one gateway: when it is worth asking.

Counts failed and slow calls in a window; a count of failures in a row would never notice a box
that answers every third call. Tries again with real calls, one at a time. A basket that it
kept back stays kept back, so that the lane does not see answers flap inside one sale.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from terminal_client.config import BreakerConfig

_MOST_BASKETS = 1024


class Breaker:
    """Thread-safe. ``monotonic`` is a clock in seconds."""

    def __init__(self, config: BreakerConfig, monotonic: Callable[[], float]) -> None:
        self._config = config
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._bad: deque[bool] = deque(maxlen=config.window)
        self._open_s = config.open_s
        self._open_until: float | None = None
        self._trying = False
        self._kept_back: OrderedDict[str, float] = OrderedDict()

    @property
    def closed(self) -> bool:
        """Tell whether calls go through freely."""
        return self._open_until is None

    def admit(self, basket_key: str) -> bool:
        """Tell whether this basket may be sent; every admitted call must be recorded."""
        now = self._monotonic()
        with self._lock:
            if self._sticks(basket_key, now):
                return False
            if self._open_until is None:
                return True
            if now >= self._open_until and not self._trying:
                self._trying = True
                return True
            self._keep_back(basket_key, now)
            return False

    def record(self, *, failed: bool, spent_s: float, budget_s: float) -> None:
        """Note how an admitted call went."""
        bad = failed or spent_s > budget_s * self._config.slow_share
        with self._lock:
            if self._trying:
                self._trying = False
                self._close() if not bad else self._open(self._open_s * 2)
                return
            self._bad.append(bad)
            full = len(self._bad) >= self._config.minimum
            if self._open_until is None and full and self._bad_share() >= self._config.bad_share:
                self._open(self._config.open_s)

    def forget(self) -> None:
        """Note that an admitted call went nowhere: it says nothing about the gateway."""
        with self._lock:
            self._trying = False

    def _bad_share(self) -> float:
        return sum(self._bad) / len(self._bad)

    def _open(self, open_s: float) -> None:
        self._open_s = min(open_s, self._config.longest_open_s)
        self._open_until = self._monotonic() + self._open_s
        self._bad.clear()

    def _close(self) -> None:
        self._open_until = None
        self._open_s = self._config.open_s
        self._bad.clear()

    def _sticks(self, basket_key: str, now: float) -> bool:
        until = self._kept_back.get(basket_key)
        if until is None or now >= until:
            return False
        self._kept_back.move_to_end(basket_key)
        return True

    def _keep_back(self, basket_key: str, now: float) -> None:
        if basket_key:
            self._kept_back[basket_key] = now + self._config.sticky_s
            self._kept_back.move_to_end(basket_key)
            while len(self._kept_back) > _MOST_BASKETS:
                self._kept_back.popitem(last=False)
