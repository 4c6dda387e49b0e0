"""The store's dates come from the bundle's transitions, on every machine alike."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_client.core.basket import Basket
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.store_time import (
    LocalTime,
    StoreZone,
    days_apart,
    read_zone,
    time_of_record,
)

NEW_YORK = StoreZone(
    name="America/New_York",
    # Until 2017-03-12, until 2017-11-05, until 2018-03-11.
    starts_s=(1478412000, 1489302000, 1509861600),
    offsets_s=(-18_000, -14_400, -18_000),
)
LATE = datetime(2017, 12, 31, 4, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (
            datetime(2017, 12, 31, 4, 59, tzinfo=UTC),
            LocalTime(date=20171230, minute_of_day=1439, weekday=6),
        ),
        (
            datetime(2017, 12, 31, 5, 0, tzinfo=UTC),
            LocalTime(date=20171231, minute_of_day=0, weekday=7),
        ),
        (
            datetime(2017, 11, 5, 5, 59, tzinfo=UTC),
            LocalTime(date=20171105, minute_of_day=119, weekday=7),
        ),
        (
            datetime(2017, 11, 5, 6, 0, tzinfo=UTC),
            LocalTime(date=20171105, minute_of_day=60, weekday=7),
        ),
        (datetime(1970, 1, 1, tzinfo=UTC), LocalTime(date=19691231, minute_of_day=1140, weekday=3)),
    ],
    ids=["before midnight", "midnight", "last summer minute", "hour repeats", "before the table"],
)
def test_local_time_at_the_edges(moment: datetime, expected: LocalTime) -> None:
    assert NEW_YORK.local(moment) == expected


@given(st.datetimes(datetime(2016, 12, 1), datetime(2018, 3, 1), timezones=st.just(UTC)))
def test_transitions_agree_with_the_tz_database(moment: datetime) -> None:
    there = moment.astimezone(ZoneInfo("America/New_York"))
    local = NEW_YORK.local(moment)
    assert local.date == int(f"{there:%Y%m%d}")
    assert local.minute_of_day == there.hour * 60 + there.minute
    assert local.weekday == there.isoweekday()


def test_the_pos_sets_the_time_of_record() -> None:
    early = datetime(2017, 1, 1, tzinfo=UTC)
    assert time_of_record(Basket(evaluation_time=early, terminal_time=LATE), LATE) == early
    assert time_of_record(Basket(terminal_time=early), LATE) == early
    assert time_of_record(Basket(), LATE) == LATE
    assert time_of_record(None, LATE) == LATE


def test_days_apart_counts_over_a_leap_day() -> None:
    assert days_apart(20240228, 20240301) == 2
    assert days_apart(20240301, 20240228) == -2


def test_a_zone_is_read_as_written() -> None:
    document = {"name": "Somewhere", "transitions": [[0, 3600], [100, 7200]]}
    assert read_zone(Fields(document, "time_zone")) == StoreZone(
        name="Somewhere", starts_s=(0, 100), offsets_s=(3600, 7200)
    )


@pytest.mark.parametrize(
    ("transitions", "path"),
    [
        ([], "time_zone.transitions"),
        ([[5, 0], [5, 0]], "time_zone.transitions"),
        ([[5, 0], [4, 0]], "time_zone.transitions"),
        ([[5]], "time_zone.transitions[0]"),
        ([[5, 90_000]], "time_zone.transitions[0].offset_s"),
    ],
    ids=["empty", "twice", "unordered", "no pair", "no offset"],
)
def test_a_bad_zone_is_refused_by_name(transitions: object, path: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_zone(Fields({"name": "x", "transitions": transitions}, "time_zone"))
    assert caught.value.path == path
