"""A whole run that never took place: the real receipts, with answers as they ought to be.

For looking at the reports, and for tests that need a report with everything in it. The
numbers are drawn, always the same ones, and prove nothing about posgate.
"""

import random
from dataclasses import replace
from datetime import date, timedelta

from examples.complete_journey.demo.records import CallRecord, LineOutcome, RunFacts, StageEntry
from examples.complete_journey.replay import ReplayBasket, read_replay
from tests.demo.records_by_hand import CUT, DEAD, alone, call, coupon, facts, settlement

RIGHT = {"edge_model": 0.972, "deep_model": 0.88, "rules": 0.79}
EDGE_SHARE = {49: 0.6, 50: 0.45, 51: 0.38}


def plausible_run(seed: int = 7) -> tuple[list[CallRecord], RunFacts]:
    """Return calls and facts of a run of which every claim holds."""
    draw = random.Random(seed)
    calls: list[CallRecord] = []
    for number, basket in enumerate(read_replay("calendar")):
        calls.append(_answer(draw, number, basket, final=True))
        if len(basket.lines) > 6:
            calls.append(replace(_answer(draw, number, basket, final=False), lines=()))
    run = facts(len(calls), settle=settlement(len(calls), decisions_superseded=6), wall_s=96.4)
    return calls, replace(run, deep_calls=sum(c.mode == "full" for c in calls))


def _answer(draw: random.Random, number: int, basket: ReplayBasket, *, final: bool) -> CallRecord:
    week = (basket.local_time.date() - date(2017, 1, 2)).days // 7 + 2
    book = 49 if week in (50, 51) else week
    cut = CUT[0] <= basket.local_time < CUT[1]
    dead = DEAD[0] <= basket.local_time < DEAD[1]
    known = {
        "lane": f"lane-{number % 4 + 1}",
        "basket": basket.basket,
        "final": final,
        "local_time": basket.local_time,
        "week": week,
        "wan_up": not cut,
        "rules_version": f"1.{book}.0",
        "lines": _lines(draw, basket, week, dead=dead, cut=cut),
        "coupons": (coupon(),) if final and number % 9 == 0 else (),
        "coupons_expected": (coupon(),) if final and number % 9 == 0 else (),
        "timer_late_ms": draw.uniform(0.05, 0.6),
        "budget_ms": 150.0,
    }
    identity = 2 * number + final
    if dead:
        return alone(identity, took_ms=draw.lognormvariate(1.2, 0.4), **known)
    ledger = _ledger(draw, asked=not cut and draw.random() < 0.9)
    total_ms = sum(entry.spent_us for entry in ledger) / 1000
    made = date(2017, 1, 1) + timedelta(weeks=book - 2)
    return call(
        identity,
        mode="local_only" if cut else "full",
        took_ms=total_ms + draw.uniform(1.5, 6),
        gateway_total_ms=total_ms,
        book_age_days=float((basket.local_time.date() - made).days),
        ledger=ledger,
        **known,
    )


def _lines(
    draw: random.Random, basket: ReplayBasket, week: int, *, dead: bool, cut: bool
) -> tuple[LineOutcome, ...]:
    judged = []
    for number, sold in enumerate(basket.lines, start=1):
        truth = sold.loyalty_minor > 0
        edge = draw.random() < EDGE_SHARE.get(week, 0.6) and not dead
        tier = "edge_model" if edge else "rules" if dead or cut else "deep_model"
        right = draw.random() < RIGHT[tier]
        place = {"deep_model": "cloud"}.get(tier, "terminal" if dead else "gateway")
        score = None if tier == "rules" else 0.9
        judged.append(LineOutcome(number, truth == right, truth, tier, place, score))
    return tuple(judged)


def _ledger(draw: random.Random, *, asked: bool) -> tuple[StageEntry, ...]:
    def entry(stage: str, workflow: str, mean_us: float, allotted_us: int) -> StageEntry:
        spent_us = int(mean_us * draw.lognormvariate(0, 0.35))
        return StageEntry(stage, workflow, spent_us, allotted_us, "RAN")

    deep = (
        entry("deep", "price_check", 11_000, 70_000)
        if asked
        else StageEntry("deep", "price_check", 0, 0, "NOT_ALLOWED")
    )
    return (
        entry("admission", "", 180, 5_000),
        entry("rules", "", 900, 120_000),
        entry("features", "price_check", 420, 10_000),
        entry("edge", "price_check", 260, 20_000),
        entry("edge", "recommendation", 330, 20_000),
        deep,
        entry("encode", "", 210, 100_000),
    )
