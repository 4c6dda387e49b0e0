"""Age becomes a word, never an outage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from terminal_client.core.freshness import Freshness, FreshnessLimits, age_at

LIMITS = FreshnessLimits(fresh_for=timedelta(days=7), usable_for=timedelta(days=28))
WEEK = timedelta(days=7)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("age", "word"),
    [
        (timedelta(0), Freshness.FRESH),
        (WEEK, Freshness.FRESH),
        (WEEK + TICK, Freshness.STALE),
        (4 * WEEK, Freshness.STALE),
        (4 * WEEK + TICK, Freshness.EXPIRED),
    ],
)
def test_limits_are_inclusive(age: timedelta, word: Freshness) -> None:
    assert LIMITS.judge(age) is word


def test_a_clock_that_was_set_back_makes_nothing_younger_than_new() -> None:
    published = datetime(2026, 1, 2, tzinfo=UTC)
    assert age_at(published, datetime(1970, 1, 1, tzinfo=UTC)) == timedelta(0)
    assert age_at(published, datetime(2026, 1, 9, tzinfo=UTC)) == WEEK
