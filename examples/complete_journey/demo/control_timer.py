"""How late this process's own timers are, so that a busy machine is not blamed on posgate."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

_PERIOD_S = 0.005
_KEPT = 4_000


class ControlTimer:
    """A thread that sleeps five milliseconds over and over, and notes how much longer it took."""

    def __init__(self) -> None:
        self._waits: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control-timer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def late_ms(self, began_s: float, ended_s: float) -> float:
        """Return the worst lateness of a wait that overlapped ``[began_s, ended_s]``.

        Both are ``time.monotonic()`` seconds; call it some milliseconds after ``ended_s``.
        """
        waits = list(self._waits)
        overlapping = [
            late_s
            for woke_s, late_s in waits
            if woke_s >= began_s and woke_s - late_s - _PERIOD_S <= ended_s
        ]
        return max(overlapping, default=0.0) * 1000

    def _run(self) -> None:
        while not self._stop.is_set():
            began_s = time.monotonic()
            time.sleep(_PERIOD_S)
            woke_s = time.monotonic()
            self._waits.append((woke_s, woke_s - began_s - _PERIOD_S))
