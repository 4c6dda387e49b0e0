"""Figures of calls made by hand, known beforehand."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from examples.complete_journey.demo.accuracy import accuracy, book_age, escalated, escalated_lines
from examples.complete_journey.demo.latency import (
    latency,
    outside_at_gateway,
    outside_at_terminal,
)
from examples.complete_journey.demo.measure import measure, same_verdicts
from examples.complete_journey.demo.records import CallRecord
from examples.complete_journey.demo.shares import Share, Spread
from tests.demo.records_by_hand import (
    CUT,
    MONDAYS,
    alone,
    call,
    coupon,
    facts,
    line,
    lines,
    stage,
)

DEEP: dict[str, Any] = {"tier": "deep_model", "place": "cloud"}
RULES: dict[str, Any] = {"tier": "rules", "score": None}
ASKED = (stage("edge"), stage("deep", 9_000, allotted_us=70_000))


def test_accuracy_is_told_apart_by_tier_place_mode_and_book() -> None:
    found = accuracy(
        [
            call(1, lines=lines(9, 1) + lines(3, 1, **DEEP), ledger=ASKED),
            call(2, week=50, mode="local_only", book_age_days=13.9, lines=lines(2, 2, **RULES)),
            alone(3, week=50, lines=lines(1, 1, place="terminal", **RULES)),
            call(4, final=False),
        ],
        None,
    )
    assert found.total.served == Share(15, 20)
    assert found.total.rule_b is None
    assert found.by_week[47].served == Share(12, 14)
    assert found.by_week[47].tiers == {"edge_model": Share(9, 10), "deep_model": Share(3, 4)}
    assert found.by_week[50].tiers == {"rules": Share(3, 6)}
    assert found.by_tier == {
        "edge_model": Share(9, 10),
        "deep_model": Share(3, 4),
        "rules": Share(3, 6),
    }
    assert found.by_place == {
        "gateway": Share(11, 14),
        "cloud": Share(3, 4),
        "terminal": Share(1, 2),
    }
    assert found.by_mode == {
        "full": Share(12, 14),
        "local_only": Share(2, 4),
        "emergency": Share(1, 2),
    }
    assert found.by_book_age == {"0-7": Share(12, 14), "8-14": Share(2, 4), "none": Share(1, 2)}


@pytest.mark.parametrize(
    ("days", "name"),
    [
        (None, "none"),
        (0.0, "0-7"),
        (7.99, "0-7"),
        (8.0, "8-14"),
        (14.5, "8-14"),
        (15.0, "15-21"),
        (28.9, "22-28"),
        (29.0, "over 28"),
    ],
)
def test_a_book_ages_by_whole_days(days: float | None, name: str) -> None:
    assert book_age(days) == name


@pytest.mark.parametrize(
    ("result", "asked"),
    [("RAN", True), ("CUT", True), ("SKIPPED_NO_TIME", False), ("NOT_ALLOWED", False)],
)
def test_a_call_is_escalated_when_the_cloud_was_asked(result: str, asked: bool) -> None:
    assert escalated(call(ledger=(stage("edge"), stage("deep", result=result)))) is asked


def test_lines_the_rules_got_back_from_the_cloud_are_escalated_too() -> None:
    mixed = lines(2) + lines(1, **DEEP) + lines(1, **RULES)
    assert escalated_lines([call(lines=mixed, ledger=ASKED)]) == Share(2, 4)
    assert escalated_lines([call(lines=lines(2) + lines(1, **RULES))]) == Share(0, 3)


def test_escalation_counts_where_the_cloud_could_be_asked_and_over_all() -> None:
    found = measure(
        [
            call(1, lines=lines(3) + lines(1, **DEEP), ledger=ASKED),
            call(2, final=False),
            call(3, mode="local_only", wan_up=False, lines=lines(4)),
            alone(4, lines=lines(2, **RULES)),
        ],
        facts(4),
        None,
    ).escalation
    assert (found.lines, found.calls) == (Share(1, 4), Share(1, 2))
    assert (found.all_lines, found.all_calls) == (Share(1, 10), Share(1, 4))


@pytest.mark.parametrize(
    ("took_ms", "late_ms", "outside"),
    [
        (150.0, 0.0, False),
        (170.0, 0.0, False),
        (170.01, 0.0, True),
        (190.0, 20.0, False),
        (190.01, 20.0, True),
    ],
)
def test_a_register_allows_twenty_milliseconds_and_a_late_timer(
    took_ms: float, late_ms: float, outside: bool
) -> None:
    assert outside_at_terminal(call(took_ms=took_ms, timer_late_ms=late_ms)) is outside


@pytest.mark.parametrize(
    ("total_ms", "outside"), [(140.0, False), (140.001, True), (None, False)], ids=str
)
def test_a_gateway_allows_its_budget_and_no_more(total_ms: float | None, outside: bool) -> None:
    assert outside_at_gateway(call(gateway_total_ms=total_ms)) is outside


def test_a_call_outside_on_both_sides_counts_once() -> None:
    found = latency(
        [
            call(1, took_ms=200.0, gateway_total_ms=141.0),
            call(2, took_ms=200.0),
            call(3, gateway_total_ms=141.0),
            call(4),
        ]
    )
    assert (found.outside_terminal, found.outside_gateway, found.outside) == (2, 2, 3)


def test_latency_is_told_apart_by_place_and_by_stage() -> None:
    found = latency(
        [
            call(1, took_ms=10.0, ledger=(stage("encode", 300, workflow=""), stage("edge", 100))),
            call(2, took_ms=20.0, ledger=(stage("edge", 30_000), stage("deep", 0, result="CUT"))),
            call(3, ledger=(stage("deep", 0, allotted_us=0, result="NOT_ALLOWED"),)),
            alone(4, took_ms=3.0),
        ]
    )
    assert found.by_place == {
        "gateway": Spread(3, 10, 20, 20, 20),
        "terminal": Spread(1, 3, 3, 3, 3),
    }
    assert [(one.stage, one.workflow) for one in found.stages] == [
        ("edge", "price_check"),
        ("deep", "price_check"),
        ("encode", ""),
    ]
    edge, deep, encode = found.stages
    assert edge.spent == Spread(2, 0.1, 30, 30, 30)
    assert (edge.allotted_ms, edge.over) == (20.0, 1)
    assert deep.results == {"CUT": 1, "NOT_ALLOWED": 1}
    assert deep.spent == Spread(1, 0, 0, 0, 0)
    assert encode.spent == Spread(1, 0.3, 0.3, 0.3, 0.3)


def test_a_week_says_who_answered_and_what_was_out_of_order() -> None:
    (week,) = measure(
        [
            call(1, week=50, mode="local_only", wan_up=False, book_age_days=9.0, took_ms=4.0),
            call(2, week=50, mode="local_only", wan_up=False, book_age_days=10.0, took_ms=6.0),
            alone(3, week=50, wan_up=False, took_ms=5.0),
        ],
        facts(3),
        None,
    ).weeks
    assert week.answers == {"gateway/local_only": 2, "terminal/emergency": 1}
    assert week.mode == "local_only"
    assert (week.wan_down, week.gateway_down) == (Share(3, 3), Share(1, 3))
    assert week.book_age_days == Spread(2, 9, 10, 10, 10)
    assert week.took_ms == Spread(3, 5, 6, 6, 6)


def test_coupon_verdicts_are_compared_apart_by_whether_something_was_down() -> None:
    known, other = coupon(), coupon("c1", "EXPIRED", "COUPON_EXPIRED")
    found = measure(
        [
            call(1, coupons=(known,), coupons_expected=(known,)),
            call(2, coupons=(known,), coupons_expected=(other,), wan_up=False),
            alone(3, coupons=(), coupons_expected=(known,)),
            call(4, final=False, coupons=(other,)),
        ],
        facts(4),
        None,
    ).coupons
    assert (found.online, found.offline) == (Share(1, 1), Share(0, 2))


def test_a_coupon_that_only_one_side_names_is_a_difference() -> None:
    first, second = coupon("c1"), coupon("c2")
    assert same_verdicts((first, second), (second,)) == Share(1, 2)
    assert same_verdicts((second, first), (first, second)) == Share(2, 2)
    assert same_verdicts((), ()) == Share()


def test_the_mode_may_settle_for_a_day_after_the_cut() -> None:
    def cut(number: int, after: timedelta, mode: str) -> CallRecord:
        return call(number, week=49, local_time=CUT[0] + after, mode=mode, wan_up=False)

    calls = [
        cut(1, timedelta(hours=9), "full"),
        cut(2, timedelta(hours=24), "local_only"),
        cut(3, timedelta(hours=30), "full"),
    ]
    found = measure(calls, facts(3), None).outage
    assert found.local_only == Share(1, 2)


def test_full_mode_is_back_with_its_first_answer_and_watched_from_there() -> None:
    def back(number: int, hour: int, mode: str) -> CallRecord:
        return call(number, week=52, local_time=CUT[1] + timedelta(hours=hour), mode=mode)

    calls = [back(1, 8, "local_only"), back(2, 9, "full"), back(3, 10, "local_only")]
    found = measure(calls, facts(3), None).outage
    assert found.full_again == datetime(2017, 12, 18, 9)
    assert found.stayed == Share(1, 2)
    never = measure(calls[:1], facts(1), None).outage
    assert (never.full_again, never.stayed) == (None, Share())


def test_while_the_gateway_is_dead_only_registers_count_as_answering() -> None:
    calls = [alone(1), alone(2), call(3, gateway_up=False), call(4)]
    assert measure(calls, facts(4), None).outage.alone == Share(2, 3)


def test_a_call_recorded_twice_is_one_answer() -> None:
    twice = call(1, lines=(line(),), local_time=MONDAYS[47])
    found = measure([twice, replace(twice, lane="lane-2"), call(2)], facts(3), None)
    assert found.answers == 2
