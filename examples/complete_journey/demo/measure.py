"""From records and facts to figures: pure functions, nothing is decided here.

``Figures`` holds everything a report says; whether it is good enough is the claims' affair.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from examples.complete_journey.demo.accuracy import (
    Accuracy,
    WeekAccuracy,
    accuracy,
    escalated,
    escalated_lines,
)
from examples.complete_journey.demo.latency import Latency, latency
from examples.complete_journey.demo.records import CallRecord, CouponVerdict, RunFacts
from examples.complete_journey.demo.rule_b import RuleB
from examples.complete_journey.demo.shares import Share, Spread, spread

SETTLING = timedelta(days=1)
"""How much store time the gateway has to notice a cut WAN: a few seconds of the demo."""

TERMINAL = "terminal"
_ASKS_CLOUD = ("full", "cloud_assisted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """How much went to the cloud. ``lines`` and ``calls``: of what was answered in a mode
    that may ask it; ``all_lines`` and ``all_calls``: of everything.
    """

    lines: Share
    calls: Share
    all_lines: Share
    all_calls: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekFigures:
    """One week of the store.

    ``wan_down`` and ``gateway_down`` are shares of its calls. ``answers`` counts answers by
    ``source``. ``book_age_days`` covers answers in which a price book took part.
    """

    week: int
    wan_down: Share
    gateway_down: Share
    answers: dict[str, int]
    book_age_days: Spread | None
    accuracy: WeekAccuracy
    escalation: Escalation
    took_ms: Spread

    @property
    def mode(self) -> str:
        """Return the mode most answers were given in; of equals the alphabet's first."""
        modes: Counter[str] = Counter()
        for source_name, count in sorted(self.answers.items()):
            modes[source_name.partition("/")[2]] += count
        return modes.most_common(1)[0][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupons:
    """Coupon verdicts that equal those of the pure engine, with WAN and gateway, and without.

    ``online`` and ``offline`` count verdicts as expected of verdicts compared.
    """

    online: Share
    offline: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What the store did while something was gone.

    ``alone``: answers by the register itself while the gateway was dead. ``local_only``:
    gateway answers in that mode while the WAN was cut, once the cut was noticed.
    ``full_again``: store time of the first answer in full mode after the cut; ``stayed``:
    gateway answers in full mode from then on.
    """

    alone: Share
    local_only: Share
    full_again: datetime | None
    stayed: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that was measured. ``answers`` counts different calls that were answered."""

    answers: int
    receipts: int
    lines: int
    weeks: tuple[WeekFigures, ...]
    accuracy: Accuracy
    escalation: Escalation
    latency: Latency
    coupons: Coupons
    outage: Outage


def measure(calls: Iterable[CallRecord], facts: RunFacts, rule_b: RuleB | None) -> Figures:
    """Return the figures of a run; ``rule_b`` is None where no accuracy is claimed.

    Raises:
        ValueError: a call does not belong to the replay that ``rule_b`` was made for.
    """
    seen = sorted(calls, key=lambda call: (call.local_time, call.lane, call.request_id))
    right = accuracy(seen, rule_b)
    final = [call for call in seen if call.final]
    return Figures(
        answers=len({call.request_id for call in seen}),
        receipts=len({call.basket for call in final}),
        lines=right.total.served.whole,
        weeks=_weeks(seen, right),
        accuracy=right,
        escalation=_escalation(seen),
        latency=latency(seen),
        coupons=_coupons(final),
        outage=_outage(seen, facts),
    )


def source(call: CallRecord) -> str:
    """Return who answered and in which mode, as ``place/mode``."""
    return f"{call.place}/{call.mode}"


def _weeks(calls: list[CallRecord], right: Accuracy) -> tuple[WeekFigures, ...]:
    weeks: dict[int, list[CallRecord]] = defaultdict(list)
    for call in calls:
        weeks[call.week].append(call)
    none = WeekAccuracy(served=Share(), tiers={}, rule_b=None)
    return tuple(_week(week, weeks[week], right.by_week.get(week, none)) for week in sorted(weeks))


def _week(week: int, calls: list[CallRecord], right: WeekAccuracy) -> WeekFigures:
    took_ms = spread(call.took_ms for call in calls)
    assert took_ms is not None
    return WeekFigures(
        week=week,
        wan_down=Share.of(not call.wan_up for call in calls),
        gateway_down=Share.of(not call.gateway_up for call in calls),
        answers=dict(sorted(Counter(source(call) for call in calls).items())),
        book_age_days=spread(c.book_age_days for c in calls if c.book_age_days is not None),
        accuracy=right,
        escalation=_escalation(calls),
        took_ms=took_ms,
    )


def _escalation(calls: list[CallRecord]) -> Escalation:
    could = [c for c in calls if c.place != TERMINAL and c.mode in _ASKS_CLOUD]
    return Escalation(
        lines=escalated_lines(could),
        calls=Share.of(escalated(call) for call in could),
        all_lines=escalated_lines(calls),
        all_calls=Share.of(escalated(call) for call in calls),
    )


def _coupons(calls: list[CallRecord]) -> Coupons:
    online, offline = Share(), Share()
    for call in calls:
        same = same_verdicts(call.coupons, call.coupons_expected)
        if call.wan_up and call.gateway_up:
            online += same
        else:
            offline += same
    return Coupons(online=online, offline=offline)


def same_verdicts(
    answered: tuple[CouponVerdict, ...], expected: tuple[CouponVerdict, ...]
) -> Share:
    """Return how many coupons got the verdict expected, of all that either side names."""
    ours = {verdict.coupon_ref: verdict for verdict in answered}
    theirs = {verdict.coupon_ref: verdict for verdict in expected}
    return Share.of(ours.get(ref) == theirs.get(ref) for ref in sorted(ours.keys() | theirs.keys()))


def _outage(calls: list[CallRecord], facts: RunFacts) -> Outage:
    dead = [call for call in calls if not call.gateway_up]
    cut, after = [], []
    if facts.wan_cut is not None:
        cut_from, cut_to = facts.wan_cut
        gateway = [call for call in calls if call.place != TERMINAL]
        cut = [c for c in gateway if not c.wan_up and c.local_time >= cut_from + SETTLING]
        after = [c for c in gateway if c.wan_up and c.local_time >= cut_to]
    first = next((index for index, call in enumerate(after) if call.mode == "full"), len(after))
    return Outage(
        alone=Share.of(call.place == TERMINAL for call in dead),
        local_only=Share.of(call.mode == "local_only" for call in cut),
        full_again=after[first].local_time if first < len(after) else None,
        stayed=Share.of(call.mode == "full" for call in after[first:]),
    )
