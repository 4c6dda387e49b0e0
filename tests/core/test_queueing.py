"""Waiting time follows Erlang C and stays finite."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_client.core.queueing import LONGEST_WAIT_S, expected_wait_s


@pytest.mark.parametrize(
    ("per_hour", "service_s", "lanes", "wait_s"),
    [
        (0, 90, 1, 0),
        # M/M/1 at half load: rho / (mu - lambda) = 0.5 / (0.01 - 0.005) = 100 s.
        (18, 100, 1, 100),
        # M/M/2 at load 1: C = 1/3, wait = (1/3) * 100 / (2 - 1) = 33 s.
        (36, 100, 2, 33),
        (36, 100, 1, LONGEST_WAIT_S),
        (35.99, 100, 1, LONGEST_WAIT_S),
        (10, 90, 0, LONGEST_WAIT_S),
        (-1, 90, 1, LONGEST_WAIT_S),
        (1, -90, 1, LONGEST_WAIT_S),
    ],
)
def test_known_queues(per_hour: float, service_s: float, lanes: int, wait_s: int) -> None:
    assert expected_wait_s(per_hour, service_s, lanes) == wait_s


@given(st.integers(0, 2_000), st.integers(1, 600), st.integers(1, 100))
def test_another_lane_never_lengthens_the_wait(per_hour: int, service_s: int, lanes: int) -> None:
    assert expected_wait_s(per_hour, service_s, lanes + 1) <= expected_wait_s(
        per_hour, service_s, lanes
    )
