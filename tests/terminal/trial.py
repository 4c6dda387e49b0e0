"""A lane's run of many baskets, judged: exceptions, answers outside the budget, equality."""

from __future__ import annotations

import bisect
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from terminal_client.client import TerminalClient
from terminal_client.core.basket import Basket
from terminal_client.core.decision import Decision, Place, projection
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.redemptions import RedemptionView
from tests.terminal.rules import WORKFLOWS, rules_bundle, rules_digest

TOLERANCE_S = 0.020
BASKETS = int(os.environ.get("POSGATE_BASKETS", "0"))


def count(usual: int) -> int:
    """Return how many baskets to ask: ``usual``, or POSGATE_BASKETS."""
    return BASKETS or usual


class ControlTimer:
    """How late this process gets to run: a thread that asks for 2 ms and notes what it got."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._ends: list[float] = []
        self._lateness_s: list[float] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    @contextmanager
    def running(self) -> Iterator[ControlTimer]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    def latest(self, began: float, ended: float) -> float:
        """Return how late timers were in the interval.

        That is the greatest lateness, or the sum of all above 10 ms: a call waits more than once,
        and whenever the machine ran something else for so long it was late each time. Below
        that, lateness may be threads of our own at work, which is no excuse.
        """
        # The timer that was running at the end must have been noted: it may be late itself.
        while not self._ends or self._ends[-1] < ended:
            time.sleep(0.001)
        first = bisect.bisect_left(self._ends, began)
        last = bisect.bisect_right(self._ends, ended) + 1
        late_s = self._lateness_s[first:last]
        return max(max(late_s, default=0.0), sum(each for each in late_s if each > 0.010))

    def _run(self) -> None:
        while not self._stop.is_set():
            wanted = time.monotonic() + 0.002
            time.sleep(0.002)
            now = time.monotonic()
            self._lateness_s.append(now - wanted)
            self._ends.append(now)


def kept_waiting_s() -> tuple[float, float]:
    """Return how long this thread, and all threads of the process, were ready and not run.

    The kernel's own account (Linux). A timer in a thread that mostly sleeps does not see it: on
    a busy machine the scheduler prefers such threads to those that work.
    """
    try:
        own = Path("/proc/thread-self/schedstat").read_text()
        everyone = [path.read_text() for path in Path("/proc/self/task").glob("*/schedstat")]
    except OSError:
        return 0.0, 0.0
    return _waited_s(own), sum(map(_waited_s, everyone))


def _waited_s(schedstat: str) -> float:
    return int(schedstat.split()[1]) / 1e9


@dataclass(kw_only=True)
class Trial:
    """What happened. ``excess_ms``: over the budget, the control timer's lateness taken off."""

    decisions: list[Decision] = field(default_factory=list)
    outside: int = 0
    unequal: int = 0
    starved: int = 0
    excess_ms: list[float] = field(default_factory=list)
    spent_ms: list[float] = field(default_factory=list)

    @property
    def codes(self) -> Counter[str]:
        """Why the terminal decided itself, by notice."""
        return Counter(
            notice.code
            for decision in self.decisions
            for notice in decision.notices
            if notice.code.startswith("GATEWAY_")
        )

    @property
    def places(self) -> Counter[Place]:
        return Counter(decision.results[0].place for decision in self.decisions)

    def __str__(self) -> str:
        spent = sorted(self.spent_ms)
        return (
            f"{len(spent)} baskets, p50 {spent[len(spent) // 2]:.1f} ms, "
            f"p99 {spent[len(spent) * 99 // 100]:.1f} ms, max {spent[-1]:.1f} ms, "
            f"worst excess {max(self.excess_ms):.1f} ms, outside {self.outside}, "
            f"unequal {self.unequal}, starved {self.starved}, {dict(self.codes)}"
        )


def run(
    client: TerminalClient,
    questions: Iterable[Basket],
    budget: timedelta,
    rules: bytes | None = None,
) -> Trial:
    """Ask everything; an exception fails the test. ``rules``: what the answers must equal."""
    raw = rules_bundle() if rules is None else rules
    bundle = FallbackBundle.load(raw, rules_digest(raw))
    trial = Trial()
    with ControlTimer().running() as timer:
        for basket in questions:
            before = kept_waiting_s()
            began = time.monotonic()
            decision = client.evaluate(basket, WORKFLOWS, budget=budget)
            ended = time.monotonic()
            own_wait_s, all_waits_s = (
                after - was for after, was in zip(kept_waiting_s(), before, strict=True)
            )
            trial.decisions.append(decision)
            over_s = ended - began - budget.total_seconds()
            if over_s > 0:
                over_s -= max(timer.latest(began, ended), own_wait_s)
            trial.excess_ms.append(over_s * 1000)
            trial.spent_ms.append((ended - began) * 1000)
            trial.outside += over_s > TOLERANCE_S
            if over_s > TOLERANCE_S:
                notices = [notice.code for notice in decision.notices]
                print(f"outside: {trial.spent_ms[-1]:.1f} ms, {decision.total} decided, {notices}")
            assert basket.evaluation_time is not None
            own = bundle.decide(basket, WORKFLOWS, basket.evaluation_time, RedemptionView())
            if list(map(projection, own)) != list(map(projection, decision.results)):
                # A process that was not run for longer than its rules need cannot have answered.
                late_s = max(timer.latest(began, ended), all_waits_s)
                starved = late_s > budget.total_seconds() / 4
                trial.starved += starved
                trial.unequal += not starved
    print(trial)
    return trial


def assert_answered(trial: Trial) -> None:
    """Every basket has an answer, inside the budget, equal to what the rules say."""
    assert trial.outside == 0, trial
    assert trial.unequal == 0, trial
    assert trial.starved <= 1 + len(trial.decisions) // 100, trial
    assert all(decision.decision_id for decision in trial.decisions)
