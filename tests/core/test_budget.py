"""A call's time: the shortest limit counts, and the ledger adds up to what passed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_client.core.budget import Budget, call_budget, in_microseconds
from terminal_client.core.decision import StageResult


def ms(count: int) -> timedelta:
    return timedelta(milliseconds=count)


@pytest.mark.parametrize(
    ("deadline", "requested", "totals", "expected"),
    [
        (None, None, [], None),
        (ms(50), None, [], ms(50)),
        (None, ms(40), [], ms(40)),
        (ms(50), ms(40), [ms(60), ms(45)], ms(40)),
        (ms(50), ms(90), [ms(60), ms(45)], ms(45)),
        (ms(30), ms(90), [ms(60)], ms(30)),
    ],
)
def test_the_shortest_limit_is_the_calls_budget(
    deadline: timedelta | None,
    requested: timedelta | None,
    totals: list[timedelta],
    expected: timedelta | None,
) -> None:
    assert call_budget(deadline, requested, totals) == expected


@pytest.mark.parametrize(
    ("wanted", "expected", "reserve", "now", "allotted"),
    [
        (500, 0, 100, 1_000, 500),
        (5_000, 0, 100, 1_000, 900),
        (500, 501, 100, 1_000, 0),
        (500, 500, 100, 1_000, 500),
        (500, 0, 1_000, 1_000, 0),
        (500, 0, 0, 9_999, 0),
        (0, 0, 0, 1_000, 0),
    ],
)
def test_a_stage_gets_what_fits_or_nothing(
    wanted: int, expected: int, reserve: int, now: int, allotted: int
) -> None:
    assert Budget(1_000, 1_000).allot(wanted, expected, reserve, now) == allotted


def test_microseconds_are_rounded_down() -> None:
    assert in_microseconds(timedelta(milliseconds=1.5)) == 1_500


@given(
    spans=st.lists(
        st.tuples(st.integers(-5, 1_000), st.sampled_from(list(StageResult))), max_size=30
    )
)
def test_the_ledger_is_the_time_that_passed(spans: list[tuple[int, StageResult]]) -> None:
    budget, now, latest = Budget(10_000, 50), 50, 50
    for number, (span, result) in enumerate(spans):
        if number % 5 == 4:
            budget.skip("deep", result, "price_check")
        else:
            now += span
            budget.mark("edge", now, 10 - number, result, "price_check")
            latest = max(latest, now)
    assert sum(entry.spent_us for entry in budget.ledger) == budget.spent_us == latest - 50
    assert all(entry.spent_us >= 0 and entry.allotted_us >= 0 for entry in budget.ledger)
    assert [entry.result for entry in budget.ledger] == [result for _, result in spans]
    assert budget.left_us(50 + 9_000) == 1_000
    assert budget.left_us(50 + 10_001) == 0
