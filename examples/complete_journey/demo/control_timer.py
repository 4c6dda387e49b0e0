"""How late this process's own timers are, so that a busy machine is not blamed on posgate."""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

_PERIOD_S = 0.005
_OWN_SCHEDULE = Path("/proc/thread-self/schedstat")
_KEPT = 4_000


def starved_s() -> float:
    """Return how long the kernel has kept the calling thread waiting for a processor.

    Linux alone keeps that account; elsewhere it is 0. A timer in a thread that mostly sleeps
    does not see such waits: a busy machine prefers it to a thread that works.
    """
    try:
        return int(_OWN_SCHEDULE.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


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

    def late_ms(self, due_s: float, ended_s: float) -> float:
        """Return how much time the timer lost between ``due_s`` and ``ended_s``.

        Both are ``time.monotonic()`` seconds: when a call was due back, and when it was back.
        Call it some milliseconds after ``ended_s``.
        """
        lost_s = sum(
            min(woke_s, ended_s) - max(woke_s - late_s, due_s)
            for woke_s, late_s in list(self._waits)
            if woke_s > due_s and woke_s - late_s < ended_s
        )
        return max(lost_s, 0.0) * 1000

    def _run(self) -> None:
        while not self._stop.is_set():
            began_s = time.monotonic()
            time.sleep(_PERIOD_S)
            woke_s = time.monotonic()
            self._waits.append((woke_s, woke_s - began_s - _PERIOD_S))
