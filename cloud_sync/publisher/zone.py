"""A store's UTC offsets, from the desk's tz database, for machines that have none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from terminal_client.core.reading import DocumentError

YEARS_BEFORE, YEARS_AFTER = 2, 10


def zone_document(name: str, as_of: datetime) -> dict[str, object]:
    """Return the bundle's ``time_zone`` for the IANA zone ``name``.

    Transitions cover two years before ``as_of`` to ten after it; the last offset holds
    for ever, so a bundle must be published again within ten years of daylight saving.

    Raises:
        DocumentError: ``name`` is no IANA zone.
    """
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise DocumentError("time_zone", f"is {name!r:.40}", "write an IANA name") from error
    first = datetime(as_of.year - YEARS_BEFORE, 1, 1, tzinfo=UTC)
    last = datetime(as_of.year + YEARS_AFTER, 1, 1, tzinfo=UTC)
    transitions = [[int(first.timestamp()), _offset_s(zone, first)]]
    day = first
    while day < last:
        after = day + timedelta(days=1)
        if _offset_s(zone, after) != _offset_s(zone, day):
            change = _change_between(zone, int(day.timestamp()), int(after.timestamp()))
            transitions.append([change, _offset_s(zone, after)])
        day = after
    return {"name": name, "transitions": transitions}


def _change_between(zone: ZoneInfo, before_s: int, after_s: int) -> int:
    """Return the first Unix second with the later offset; one change a day is assumed."""
    old = _offset_s(zone, datetime.fromtimestamp(before_s, UTC))
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _offset_s(zone, datetime.fromtimestamp(middle_s, UTC)) == old:
            before_s = middle_s
        else:
            after_s = middle_s
    return after_s


def _offset_s(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
