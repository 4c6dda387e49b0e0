"""What the demo claims. A run succeeds when every claim holds.

A claim about something that did not happen does not hold: no cut, no proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from examples.complete_journey.demo.measure import Figures
from examples.complete_journey.demo.records import RunFacts
from examples.complete_journey.demo.shares import Share

ONLINE_WEEKS = (47, 48, 53)
"""Weeks in which everything works from beginning to end."""
WEEK_FLOOR = 0.91
POOLED_FLOOR = 0.92
LOCAL_ONLY_FLOOR = 0.95
STAYED_FLOOR = 0.95
LONGEST_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence, what was measured, what was wanted, and whether it holds."""

    name: str
    sentence: str
    measured: str
    wanted: str
    holds: bool


def judge(figures: Figures, facts: RunFacts) -> tuple[Claim, ...]:
    """Return every claim about a run.

    A folded replay proves nothing about weeks and outages, so only the claims about time,
    decisions and coupons are made of it.
    """
    claims = [*_promptness(figures, facts), *_books(figures, facts), *_coupons(figures, facts)]
    if facts.replay == "calendar":
        claims += [*_accuracy(figures), *_outage(figures, facts)]
    return tuple(claims)


def percent(share: Share) -> str:
    """Return a share for people: ``93.4 %``, or ``none`` of nothing."""
    return "none" if share.value is None else f"{100 * share.value:.1f} %"


def _promptness(figures: Figures, facts: RunFacts) -> Iterator[Claim]:
    yield Claim(
        name="every_call_answered",
        sentence="Every call was answered",
        measured=f"{figures.answers:,} of {facts.calls_planned:,}",
        wanted="all",
        holds=figures.answers == facts.calls_planned > 0,
    )
    yield Claim(
        name="answers_inside_budget",
        sentence="No answer came outside its budget",
        measured=f"{figures.latency.outside:,} outside",
        wanted="0",
        holds=figures.latency.outside == 0 < figures.answers,
    )
    if facts.replay == "calendar":
        yield Claim(
            name="run_short",
            sentence="The demo took less than three minutes",
            measured=f"{facts.wall_s:.0f} s",
            wanted=f"under {LONGEST_S:.0f} s",
            holds=facts.wall_s < LONGEST_S,
        )


def _books(figures: Figures, facts: RunFacts) -> Iterator[Claim]:
    settle = facts.settle
    acted = f"of {settle.decisions_acted:,}"
    yield Claim(
        name="decisions_kept",
        sentence="No decision was lost",
        measured=f"{settle.decisions_lost:,} {acted}",
        wanted="0",
        holds=settle.decisions_lost == 0 and settle.decisions_acted == figures.answers > 0,
    )
    yield Claim(
        name="decisions_counted_once",
        sentence="No decision was counted twice",
        measured=f"{settle.decisions_doubled:,} {acted}",
        wanted="0",
        holds=settle.decisions_doubled == 0 < settle.decisions_acted,
    )
    yield Claim(
        name="outcomes_kept",
        sentence="Every sale reported was recorded once",
        measured=f"{settle.outcomes_recorded:,} of {settle.outcomes_sent:,}",
        wanted="all",
        holds=settle.outcomes_recorded == settle.outcomes_sent > 0,
    )


def _coupons(figures: Figures, facts: RunFacts) -> Iterator[Claim]:
    yield _unchanged(
        "coupons_online", "Online coupon verdicts are the engine's own", figures.coupons.online
    )
    if facts.replay == "calendar":
        yield _unchanged(
            "coupons_offline", "Coupon verdicts do not change offline", figures.coupons.offline
        )
    if facts.answers_compared:
        agreed = Share(facts.answers_agreed, facts.answers_compared)
        yield Claim(
            name="registers_agree",
            sentence="Register and gateway gave the same rules answer",
            measured=f"{agreed.part:,} of {agreed.whole:,}",
            wanted="all",
            holds=agreed.part == agreed.whole,
        )


def _unchanged(name: str, sentence: str, same: Share) -> Claim:
    return Claim(
        name=name,
        sentence=sentence,
        measured=f"{same.whole - same.part:,} of {same.whole:,} differ",
        wanted="0, of at least 1",
        holds=same.part == same.whole > 0,
    )


def _accuracy(figures: Figures) -> Iterator[Claim]:
    online = [week.accuracy.served for week in figures.weeks if week.week in ONLINE_WEEKS]
    enough = len(online) == len(ONLINE_WEEKS) and all(s.at_least(WEEK_FLOOR) for s in online)
    yield Claim(
        name="online_weeks_accurate",
        sentence="Each undisturbed week agrees with the receipts",
        measured=", ".join(percent(share) for share in online) or "no such week",
        wanted=f"{100 * WEEK_FLOOR:.0f} % in {', '.join(map(str, ONLINE_WEEKS))}",
        holds=enough,
    )
    pooled = sum(online, Share())
    yield Claim(
        name="online_accuracy",
        sentence="Undisturbed weeks together agree with the receipts",
        measured=percent(pooled),
        wanted=f"{100 * POOLED_FLOOR:.1f} %",
        holds=pooled.at_least(POOLED_FLOOR),
    )
    margins = {
        week.week: _margin(week.accuracy.served, week.accuracy.rule_b) for week in figures.weeks
    }
    known = {week: margin for week, margin in margins.items() if margin is not None}
    worst = min(known, key=lambda week: known[week], default=None)
    yield Claim(
        name="never_below_rule_b",
        sentence="No week was served worse than by rule B",
        measured="no week" if worst is None else f"{100 * known[worst]:+.1f} points (week {worst})",
        wanted="0 or more",
        holds=bool(margins) and len(known) == len(margins) and min(known.values()) >= 0,
    )


def _margin(served: Share, rule_b: Share | None) -> float | None:
    if rule_b is None or rule_b.value is None or served.value is None:
        return None
    return served.value - rule_b.value


def _outage(figures: Figures, facts: RunFacts) -> Iterator[Claim]:
    outage = figures.outage
    yield Claim(
        name="registers_alone",
        sentence="While the gateway was dead, the registers answered",
        measured=f"{percent(outage.alone)} of {outage.alone.whole:,}",
        wanted="100 %",
        holds=outage.alone.part == outage.alone.whole > 0,
    )
    yield Claim(
        name="local_while_cut",
        sentence="While the WAN was cut, the gateway was local only",
        measured=f"{percent(outage.local_only)} of {outage.local_only.whole:,}",
        wanted=f"{100 * LOCAL_ONLY_FLOOR:.0f} %",
        holds=outage.local_only.at_least(LOCAL_ONLY_FLOOR),
    )
    again, cut = outage.full_again, facts.wan_cut
    same_day = again is not None and cut is not None and again.date() == cut[1].date()
    yield Claim(
        name="full_again",
        sentence="With the WAN back, full mode returned the same day",
        measured="never"
        if again is None
        else f"{again:%m-%d %H:%M}, then {percent(outage.stayed)}",
        wanted=f"same day, then {100 * STAYED_FLOOR:.0f} %",
        holds=same_day and outage.stayed.at_least(STAYED_FLOOR),
    )
