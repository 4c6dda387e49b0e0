"""Each claim holds in a run where nothing went wrong, and fails when it must."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from examples.complete_journey.demo.claims import Claim, judge
from examples.complete_journey.demo.measure import WeekFigures, measure
from examples.complete_journey.demo.records import CallRecord, RunFacts
from examples.complete_journey.demo.shares import Share
from tests.demo.records_by_hand import CUT, MONDAYS, alone, call, coupon, facts, lines, settlement

Run = tuple[list[CallRecord], RunFacts]

EVERY = {
    "every_call_answered",
    "answers_inside_budget",
    "run_short",
    "decisions_kept",
    "decisions_counted_once",
    "outcomes_kept",
    "coupons_online",
    "coupons_offline",
    "registers_agree",
    "online_weeks_accurate",
    "online_accuracy",
    "never_below_rule_b",
    "registers_alone",
    "local_while_cut",
    "full_again",
}


def good_run() -> Run:
    """Return a run of nine calls in which every claim holds."""
    verdict = {"coupons": (coupon(),), "coupons_expected": (coupon(),)}
    calls = [
        call(47, week=47, lines=lines(94, 6), **verdict),
        call(48, week=48, lines=lines(93, 7)),
        call(49, week=49, mode="local_only", wan_up=False, lines=lines(90, 10), **verdict),
        call(50, week=50, mode="local_only", wan_up=False, lines=lines(87, 13)),
        alone(150, week=50, wan_up=False, lines=lines(80, 20), **verdict),
        call(51, week=51, mode="local_only", wan_up=False, lines=lines(84, 16)),
        call(52, week=52, lines=lines(93, 7)),
        call(53, week=53, lines=lines(93, 7)),
        call(153, week=53, final=False),
    ]
    return calls, facts(len(calls), answers_compared=4, answers_agreed=4)


def judged(run: Run, rule_b: float | None = 0.8) -> dict[str, Claim]:
    """Return a run's claims by name; rule B is right for a share ``rule_b`` of each week."""
    calls, known = run
    figures = measure(calls, known, None)
    if rule_b is not None:
        figures = replace(figures, weeks=tuple(_beside(w, rule_b) for w in figures.weeks))
    claims = judge(figures, known)
    assert len({claim.name for claim in claims}) == len(claims)
    return {claim.name: claim for claim in claims}


def _beside(week: WeekFigures, rule_b: float) -> WeekFigures:
    whole = week.accuracy.served.whole
    share = Share(int(rule_b * whole), whole)
    return replace(week, accuracy=replace(week.accuracy, rule_b=share))


def failing(run: Run, rule_b: float | None = 0.8) -> set[str]:
    """Return the names of the claims that do not hold."""
    return {name for name, claim in judged(run, rule_b).items() if not claim.holds}


def changed(number: int, **changes: object) -> Callable[[Run], Run]:
    """Return what changes one call of a run."""

    def change(run: Run) -> Run:
        calls, known = run
        wanted = f"request-{number}"
        assert any(one.request_id == wanted for one in calls)
        return [
            replace(one, **changes) if one.request_id == wanted else one  # type: ignore[arg-type]
            for one in calls
        ], known

    return change


def known(**changes: object) -> Callable[[Run], Run]:
    """Return what changes a run's facts."""
    return lambda run: (run[0], replace(run[1], **changes))  # type: ignore[arg-type]


def books(**changes: int) -> Callable[[Run], Run]:
    """Return what changes a run's settlement."""
    return lambda run: (run[0], replace(run[1], settle=replace(run[1].settle, **changes)))


def without(*numbers: int) -> Callable[[Run], Run]:
    """Return what leaves calls out, of the plan and the books as well."""

    def leave_out(run: Run) -> Run:
        names = {f"request-{number}" for number in numbers}
        calls = [one for one in run[0] if one.request_id not in names]
        settled = settlement(len(calls))
        return calls, replace(run[1], calls_planned=len(calls), settle=settled)

    return leave_out


def test_every_claim_holds_when_nothing_went_wrong() -> None:
    claims = judged(good_run())
    assert set(claims) == EVERY
    assert failing(good_run()) == set()


BREACHES: dict[str, list[tuple[str, Callable[[Run], Run]]]] = {
    "every_call_answered": [
        ("fewer than planned", known(calls_planned=10)),
        ("more than planned", known(calls_planned=8)),
        ("one of them twice", changed(153, request_id="request-53")),
    ],
    "answers_inside_budget": [
        ("at the register", changed(49, took_ms=171.0)),
        ("at the gateway", changed(49, gateway_total_ms=140.1)),
    ],
    "run_short": [("three minutes", known(wall_s=180.0))],
    "decisions_kept": [
        ("one lost", books(decisions_lost=1)),
        ("not all looked at", books(decisions_acted=8)),
    ],
    "decisions_counted_once": [
        ("one doubled", books(decisions_doubled=1)),
        ("none looked at", books(decisions_acted=0)),
    ],
    "outcomes_kept": [
        ("one missing", books(outcomes_recorded=8)),
        ("one too many", books(outcomes_recorded=10)),
        ("none at all", books(outcomes_sent=0, outcomes_recorded=0)),
    ],
    "coupons_online": [
        ("another verdict", changed(47, coupons=(coupon("c1", "EXPIRED", "COUPON_EXPIRED"),))),
        ("none compared", changed(47, coupons=(), coupons_expected=())),
    ],
    "coupons_offline": [
        ("without the WAN", changed(49, coupons=(coupon("c1", "NOT_ELIGIBLE"),))),
        ("without the gateway", changed(150, coupons=())),
        ("none compared", without(49, 150)),
    ],
    "registers_agree": [("one differs", known(answers_agreed=3))],
    "online_weeks_accurate": [
        ("one week below", changed(48, lines=lines(905, 95))),
        ("one week missing", without(48)),
    ],
    "online_accuracy": [("all just above the weekly floor", lambda run: _all_online(run, 911))],
    "never_below_rule_b": [("one week below", changed(51, lines=lines(79, 21)))],
    "registers_alone": [
        ("the gateway answered", changed(150, place="gateway")),
        ("it never died", changed(150, gateway_up=True)),
    ],
    "local_while_cut": [
        ("one in three is not", changed(51, mode="emergency")),
        ("never cut", known(wan_cut=None)),
    ],
    "full_again": [
        ("a day late", changed(52, local_time=CUT[1] + timedelta(days=1))),
        ("never", lambda run: changed(52, mode="local_only")(_all_of_53(run, "local_only"))),
        ("not for long", changed(53, mode="local_only")),
        ("never cut", known(wan_cut=None)),
    ],
}


def _all_online(run: Run, right: int) -> Run:
    for week in (47, 48, 53):
        run = changed(week, lines=lines(right, 1000 - right))(run)
    return run


def _all_of_53(run: Run, mode: str) -> Run:
    return changed(153, mode=mode)(changed(53, mode=mode)(run))


@pytest.mark.parametrize(
    ("name", "breach"),
    [
        pytest.param(name, breach, id=f"{name}: {what}")
        for name, breaches in BREACHES.items()
        for what, breach in breaches
    ],
)
def test_a_claim_fails_when_it_must(name: str, breach: Callable[[Run], Run]) -> None:
    assert name in failing(breach(good_run()))


def test_every_claim_has_a_case_in_which_it_fails() -> None:
    assert set(BREACHES) == EVERY


def test_the_breach_of_one_claim_is_not_blamed_on_others() -> None:
    assert failing(changed(49, took_ms=171.0)(good_run())) == {"answers_inside_budget"}
    assert failing(known(wall_s=200.0)(good_run())) == {"run_short"}
    assert failing(changed(48, lines=lines(905, 95))(good_run())) == {
        "online_weeks_accurate",
        "online_accuracy",
    }


def test_without_rule_b_nobody_claims_to_beat_it() -> None:
    assert failing(good_run(), rule_b=None) == {"never_below_rule_b"}
    assert failing(good_run(), rule_b=0.85) == {"never_below_rule_b"}


def test_equal_to_rule_b_is_not_below_it() -> None:
    run = changed(51, lines=lines(80, 20))(good_run())
    assert judged(run)["never_below_rule_b"].measured == "+0.0 points (week 51)"
    assert failing(run) == set()


def test_a_run_without_calls_proves_nothing() -> None:
    assert failing(([], facts(0, answers_compared=0))) == EVERY - {"run_short", "registers_agree"}


def test_a_folded_replay_claims_time_decisions_and_coupons_only() -> None:
    calls, run = good_run()
    claims = judged((calls, replace(run, replay="folded", wall_s=500.0)))
    assert set(claims) == {
        "every_call_answered",
        "answers_inside_budget",
        "decisions_kept",
        "decisions_counted_once",
        "outcomes_kept",
        "coupons_online",
        "registers_agree",
    }


def test_monday_of_week_52_is_the_day_the_wan_comes_back() -> None:
    assert MONDAYS[52].date() == CUT[1].date()
