"""Four lanes of one register, ringing up real receipts as fast as they can, and what came of it."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache

from examples.complete_journey.demo.control_timer import ControlTimer
from examples.complete_journey.demo.receipts import as_basket, receipts
from examples.complete_journey.replay import read_replay
from terminal_client.client import TerminalClient
from terminal_client.core.basket import Basket
from terminal_client.core.decision import Decision, Place, projection

WORKFLOWS = (
    "promotion_validation",
    "price_check",
    "recommendation",
    "basket_validation",
    "age_check",
)
BASKETS = int(os.environ.get("POSGATE_E2E_BASKETS", "400"))
"""How many baskets each fault sees; the full run is 10000."""
LANES = 4
BUDGET_MS = 150.0
_ALLOWED_MS = 20.0
_TIMER_SETTLES_S = 0.012

Answer = tuple[object, ...]


@dataclass(kw_only=True)
class LaneRun:
    """What the lanes saw; the lists name baskets, with why.

    ``starved``: the machine itself did not run this process in time, which the control timer
    proves, and so the rules had not answered at the deadline.
    """

    calls: int = 0
    exceptions: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    starved: list[str] = field(default_factory=list)
    places: Counter[str] = field(default_factory=Counter)
    notices: Counter[str] = field(default_factory=Counter)
    took_ms: list[float] = field(default_factory=list)

    def told(self) -> str:
        """Return one line of figures."""
        ordered = sorted(self.took_ms) or [0.0]
        p50, p99 = (ordered[int((len(ordered) - 1) * share)] for share in (0.5, 0.99))
        return (
            f"{self.calls} baskets: {len(self.exceptions)} exceptions, {len(self.outside)} outside"
            f" budget, {len(self.unequal)} unequal, {len(self.starved)} starved;"
            f" p50 {p50:.1f} p99 {p99:.1f} max {ordered[-1]:.1f} ms;"
            f" {dict(self.places)}, {dict(self.notices)}"
            f" {self.exceptions[:3]} {self.outside[:3]} {self.unequal[:3]}"
            f" {self.starved[:3]}"
        )


@cache
def real_baskets(count: int) -> tuple[Basket, ...]:
    """Return ``count`` real baskets, each a sale of its own; the folded year over and over."""
    year = receipts(read_replay("folded"))
    return tuple(numbered(as_basket(year[n % len(year)], "lane-1"), n) for n in range(count))


def distinct(count: int) -> int:
    """Return how many of ``real_baskets(count)`` differ in more than their number."""
    return min(count, sum(1 for _ in read_replay("folded")))


def answer_of(decision: Decision) -> Answer:
    """Return what both sides must agree on."""
    return (decision.verdict, *(projection(result) for result in decision.results))


def ring_up(
    client: TerminalClient,
    baskets: Sequence[Basket],
    expected: Sequence[Answer] | None,
    *,
    at_half: Callable[[], None] | None = None,
) -> LaneRun:
    """Ring up every basket once on four lanes; ``expected`` repeats when it is shorter."""
    run, lock = LaneRun(), threading.Lock()
    work: Iterator[tuple[int, Basket]] = iter(enumerate(baskets))

    def lane(timer: ControlTimer) -> None:
        while True:
            with lock:
                number, basket = next(work, (-1, None))
            if basket is None:
                return
            if at_half is not None and number == len(baskets) // 2:
                at_half()
            _ring_up_one(client, timer, number, basket, expected, run, lock)

    with ControlTimer() as timer:
        threads = [threading.Thread(target=lane, args=(timer,)) for _ in range(LANES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return run


def _ring_up_one(
    client: TerminalClient,
    timer: ControlTimer,
    number: int,
    basket: Basket,
    expected: Sequence[Answer] | None,
    run: LaneRun,
    lock: threading.Lock,
) -> None:
    began_s = time.monotonic()
    try:
        decision = client.evaluate(basket, WORKFLOWS, budget=timedelta(milliseconds=BUDGET_MS))
    # What is counted here must be 0: evaluate never raises.
    except BaseException as error:  # noqa: BLE001
        with lock:
            run.calls += 1
            run.exceptions.append(f"{number}: {error!r}")
        return
    ended_s = time.monotonic()
    took_ms = (ended_s - began_s) * 1000
    slow = took_ms > BUDGET_MS + _ALLOWED_MS
    unequal = expected is not None and answer_of(decision) != expected[number % len(expected)]
    late_ms = 0.0
    if slow or unequal:
        time.sleep(_TIMER_SETTLES_S)
        late_ms = timer.late_ms(began_s, ended_s)
    with lock:
        run.calls += 1
        run.took_ms.append(took_ms)
        run.places[_place(decision)] += 1
        run.notices.update(notice.code for notice in decision.notices)
        if took_ms > BUDGET_MS + _ALLOWED_MS + late_ms:
            run.outside.append(f"{number}: {took_ms:.1f} ms, timer late {late_ms:.1f} ms")
        if unequal:
            told = f"{number}: timer late {late_ms:.1f} ms {_codes(decision)}"
            starved = _cut_short(decision) and late_ms > _ALLOWED_MS
            (run.starved if starved else run.unequal).append(told)


def _cut_short(decision: Decision) -> bool:
    """Tell whether no workflow was answered in time."""
    return all(
        [reason.code for reason in result.reasons] == ["BUDGET_EXHAUSTED"]
        for result in decision.results
    )


def _codes(decision: Decision) -> str:
    """Return what an answer says, as codes."""
    said = {
        result.workflow: [result.verdict.name, *(reason.code for reason in result.reasons)]
        for result in decision.results
    }
    return f"{_place(decision)} {said} {[notice.code for notice in decision.notices]}"


def _place(decision: Decision) -> str:
    places = {result.place for result in decision.results}
    return max(places).name if places else Place.TERMINAL.name


def numbered(basket: Basket, number: int) -> Basket:
    """Return ``basket`` as another sale."""
    transaction = replace(
        basket.transaction, sequence_number=number + 1, basket_id=f"basket-{number}"
    )
    return replace(basket, transaction=transaction)
