"""Age is a fact: a wrong clock or a long outage takes no rules away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.trust.trees import NOW, Tree, check

DELEGATED = ("fleet", "rules")


@pytest.mark.parametrize(
    ("now", "expired"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), ()),
        (NOW, ()),
        (NOW + timedelta(days=90) - timedelta(seconds=1), ()),
        (NOW + timedelta(days=90), DELEGATED),
        (NOW + timedelta(days=200), DELEGATED),
        (NOW + timedelta(days=366), (*DELEGATED[:1], "root", "rules", "targets")),
        (datetime(2200, 1, 1, tzinfo=UTC), ("fleet", "root", "rules", "targets")),
    ],
    ids=["1970", "fresh", "last second", "past", "+200 days", "+366 days", "2200"],
)
def test_the_clock_changes_what_is_said_and_not_what_is_believed(
    tree: Tree, now: datetime, expired: tuple[str, ...]
) -> None:
    trusted = check(tree)
    assert trusted.release.version == "1.0.0"
    assert trusted.expired(now) == expired
