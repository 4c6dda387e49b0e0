"""The last pin of each basket, so that a register's program need not carry it."""

from __future__ import annotations

import threading
from collections import OrderedDict

_MOST_BASKETS = 1024


class BasketPins:
    """Thread-safe; forgets the basket that was asked about longest ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pins: OrderedDict[str, bytes] = OrderedDict()

    def of(self, basket_key: str) -> bytes:
        """Return the basket's last pin, or nothing."""
        with self._lock:
            return self._pins.get(basket_key, b"")

    def keep(self, basket_key: str, pin: bytes) -> None:
        """Remember the last answer's pin."""
        if not basket_key or not pin:
            return
        with self._lock:
            self._pins[basket_key] = pin
            self._pins.move_to_end(basket_key)
            while len(self._pins) > _MOST_BASKETS:
                self._pins.popitem(last=False)
