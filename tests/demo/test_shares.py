"""Shares and percentiles are exact."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.complete_journey.demo.shares import Share, Spread, nearest_rank, spread


def test_percentiles_of_one_to_a_hundred_are_themselves() -> None:
    assert spread(float(value) for value in range(100, 0, -1)) == Spread(100, 50, 95, 99, 100)


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ([4.0], Spread(1, 4, 4, 4, 4)),
        ([1.0, 2.0], Spread(2, 1, 2, 2, 2)),
        ([3.0, 1.0, 2.0], Spread(3, 2, 3, 3, 3)),
        ([float(v) for v in range(1, 21)], Spread(20, 10, 19, 20, 20)),
        ([float(v) for v in range(1, 201)], Spread(200, 100, 190, 198, 200)),
    ],
)
def test_percentiles_are_of_nearest_rank(values: list[float], known: Spread) -> None:
    assert spread(values) == known


def test_nothing_has_no_spread_and_no_share() -> None:
    assert spread([]) is None
    assert Share().value is None
    assert not Share().at_least(0.0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_enough_others_do_not_exceed(
    values: list[float], percent: int
) -> None:
    found = nearest_rank(sorted(values), percent)
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


def test_shares_add_up_by_their_counts() -> None:
    both = Share(1, 2) + Share.of([True, True, False, True])
    assert both == Share(4, 6)
    assert math.isclose(both.value or 0, 2 / 3)
    assert both.at_least(0.66)
    assert not both.at_least(0.67)
