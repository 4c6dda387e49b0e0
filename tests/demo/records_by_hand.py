"""Calls and facts made by hand, each with only what its test is about."""

from datetime import UTC, datetime
from typing import Any

from examples.complete_journey.demo.records import (
    CallRecord,
    CouponVerdict,
    LineOutcome,
    Machine,
    RunFacts,
    Settlement,
    StageEntry,
)

CUT = (datetime(2017, 11, 27), datetime(2017, 12, 18))
DEAD = (datetime(2017, 12, 5, 9), datetime(2017, 12, 6, 18))
MONDAYS = {
    47: datetime(2017, 11, 13, 10),
    48: datetime(2017, 11, 20, 10),
    49: datetime(2017, 11, 27, 10),
    50: datetime(2017, 12, 4, 10),
    51: datetime(2017, 12, 11, 10),
    52: datetime(2017, 12, 18, 10),
    53: datetime(2017, 12, 25, 10),
}


def call(number: int = 1, **changes: Any) -> CallRecord:
    """Return a call that the gateway answered well inside its budget, in week 47."""
    values: dict[str, Any] = {
        "request_id": f"request-{number}",
        "decision_id": f"decision-{number}",
        "lane": "lane-1",
        "basket": number,
        "final": True,
        "local_time": MONDAYS[changes.get("week", 47)],
        "week": 47,
        "wan_up": True,
        "gateway_up": True,
        "place": "gateway",
        "mode": "full",
        "budget_ms": 150.0,
        "took_ms": 9.0,
        "timer_late_ms": 0.5,
        "gateway_total_ms": 6.0,
        "gateway_budget_ms": 140.0,
        "verdict": "approve",
        "book_age_days": 1.5,
        "rules_version": f"1.{changes.get('week', 47)}.0",
    }
    return CallRecord(**{**values, **changes})


def alone(number: int = 1, **changes: Any) -> CallRecord:
    """Return a call that the register answered itself, because the gateway was dead."""
    values: dict[str, Any] = {
        "gateway_up": False,
        "place": "terminal",
        "mode": "emergency",
        "fallback_reason": "UNREACHABLE",
        "gateway_total_ms": None,
        "gateway_budget_ms": None,
        "book_age_days": None,
    }
    return call(number, **{**values, **changes})


def line(number: int = 1, **changes: Any) -> LineOutcome:
    """Return a line that the edge model got right: no discount expected, none there."""
    values: dict[str, Any] = {
        "line_number": number,
        "expected": False,
        "truth": False,
        "tier": "edge_model",
        "place": "gateway",
        "score": 0.02,
    }
    return LineOutcome(**{**values, **changes})


def lines(right: int, wrong: int = 0, **changes: Any) -> tuple[LineOutcome, ...]:
    """Return ``right`` lines that were judged right, then ``wrong`` ones that were not."""
    return tuple(
        line(number, expected=number > right, **changes) for number in range(1, right + wrong + 1)
    )


def coupon(reference: str = "c1", status: str = "APPLIED", reason: str = "") -> CouponVerdict:
    """Return a verdict on a coupon."""
    return CouponVerdict(reference, status, reason)


def stage(name: str = "edge", spent_us: int = 100, **changes: Any) -> StageEntry:
    """Return a ledger entry of a stage that ran inside its allotment."""
    values: dict[str, Any] = {
        "stage": name,
        "workflow": "price_check",
        "spent_us": spent_us,
        "allotted_us": 20_000,
        "result": "RAN",
    }
    return StageEntry(**{**values, **changes})


def settlement(acted: int, **changes: int) -> Settlement:
    """Return books that are in order after ``acted`` decisions."""
    values = {
        "decisions_acted": acted,
        "decisions_recorded": acted,
        "decisions_lost": 0,
        "decisions_doubled": 0,
        "decisions_superseded": 0,
        "outcomes_sent": acted,
        "outcomes_recorded": acted,
    }
    return Settlement(**{**values, **changes})


def facts(planned: int = 1, **changes: Any) -> RunFacts:
    """Return the facts of a run with ``planned`` calls in which nothing went wrong."""
    values: dict[str, Any] = {
        "started": datetime(2024, 5, 1, 12, 0, tzinfo=UTC),
        "finished": datetime(2024, 5, 1, 12, 2, tzinfo=UTC),
        "wall_s": 120.0,
        "replay": "calendar",
        "store": 367,
        "weeks": tuple(MONDAYS),
        "lanes": ("lane-1", "lane-2"),
        "calls_planned": planned,
        "wan_cut": CUT,
        "gateway_dead": DEAD,
        "first_answer_after_restart_ms": 850.0,
        "deep_calls": 3,
        "answers_compared": 0,
        "answers_agreed": 0,
        "settle": settlement(planned),
        "processes": ("cloud", "serving", "control", "lane-1", "lane-2"),
        "versions": {"posgate": "0.1.0"},
        "machine": Machine(cpu_count=2, system="Linux", python="3.11.9"),
    }
    return RunFacts(**{**values, **changes})
