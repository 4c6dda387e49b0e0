"""The store's local time, without a time-zone database.

The rules bundle carries the store's UTC offsets as transitions, so that a register and a
gateway agree on dates to the minute whatever their operating systems know.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from terminal_client.core.basket import Basket
from terminal_client.core.reading import DocumentError, Fields

_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTime:
    """A moment in the store: date ``yyyymmdd``, minute ``[0, 1440)``, ISO weekday."""

    date: int
    minute_of_day: int
    weekday: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreZone:
    """UTC offsets in seconds, each in force from its Unix time on; the first always."""

    name: str
    starts_s: tuple[int, ...]
    offsets_s: tuple[int, ...]

    def local(self, moment: datetime) -> LocalTime:
        """Return the store's local time at an aware ``moment`` of years 1970 to 2200."""
        unix_s = int(moment.timestamp())
        offset_s = self.offsets_s[max(bisect_right(self.starts_s, unix_s) - 1, 0)]
        there = moment.astimezone(UTC) + timedelta(seconds=offset_s)
        return LocalTime(
            date=there.year * 10_000 + there.month * 100 + there.day,
            minute_of_day=there.hour * 60 + there.minute,
            weekday=there.isoweekday(),
        )


def read_zone(fields: Fields) -> StoreZone:
    """Read ``{name, transitions: [[unix_s, offset_s], ...]}``; raises DocumentError."""
    transitions = fields.items("transitions", _read_transition)
    zone = StoreZone(
        name=fields.text("name", longest=64),
        starts_s=tuple(start for start, _ in transitions),
        offsets_s=tuple(offset for _, offset in transitions),
    )
    fields.close()
    if not transitions or list(zone.starts_s) != sorted(set(zone.starts_s)):
        raise DocumentError(fields.at("transitions"), "is empty or unordered", "sort by time")
    return zone


def time_of_record(basket: Basket | None, now: datetime) -> datetime:
    """Return the time a basket is judged at: set by the POS; ``now`` if it set none."""
    if basket is None:
        return now
    return basket.evaluation_time or basket.terminal_time or now


def days_apart(earlier: int, later: int) -> int:
    """Return the days from one ``yyyymmdd`` to another; negative when reversed."""
    return (_date(later) - _date(earlier)).days


def _date(yyyymmdd: int) -> datetime:
    return datetime(yyyymmdd // 10_000, yyyymmdd // 100 % 100, yyyymmdd % 100, tzinfo=UTC)


def _read_transition(value: object, path: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise DocumentError(path, "is no pair", "write [unix_s, offset_s]")
    pair = Fields({"unix_s": value[0], "offset_s": value[1]}, path)
    return pair.integer("unix_s", -(2**40), 2**40), pair.integer("offset_s", -_DAY_S, _DAY_S)
