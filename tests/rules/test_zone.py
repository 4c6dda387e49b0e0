"""The published offsets are the tz database's, to the minute, for ten years."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.publisher.zone import zone_document
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.store_time import read_zone

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
ZONES = {
    name: read_zone(Fields(zone_document(name, AS_OF), "time_zone"))
    for name in ("America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")
}


@given(
    st.sampled_from(sorted(ZONES)),
    st.datetimes(datetime(2024, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC)),
)
def test_a_published_zone_agrees_with_the_tz_database(name: str, moment: datetime) -> None:
    there = moment.astimezone(ZoneInfo(name))
    local = ZONES[name].local(moment)
    assert (local.date, local.minute_of_day) == (
        int(f"{there:%Y%m%d}"),
        there.hour * 60 + there.minute,
    )


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(DocumentError, match="write an IANA name"):
        zone_document(name, AS_OF)
