"""What this store itself sold this week, before today.

Owns the rows that control feeds and the sums that features read. A sum for a day covers
the days from Monday to the day before; it is kept until one of those days changes, so the
rows of today, which come all day long, cost nothing here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

_KEPT_SUMS = 16
_KEPT_DAYS = 35


@dataclass(frozen=True, slots=True)
class LogRow:
    """One item on one business day (yyyymmdd); ``discounted_count <= line_count``."""

    business_day: int
    item_id: str
    line_count: int
    discounted_count: int


class Grouping(Protocol):
    """Puts items into groups, for sums over groups."""

    @property
    def identity(self) -> Hashable:
        """Equal for two groupings that put every item into the same group."""
        ...

    def group(self, item_ids: Iterable[str]) -> list[Hashable | None]:
        """Return the group of each item; None: in none."""
        ...


Counts = Mapping[Hashable, tuple[int, int]]
"""Group (or item id) to (lines, discounted lines)."""


class StoreLog:
    """Rows by day and item, and cached sums. ``cursor`` is control's, unread here."""

    def __init__(self) -> None:
        self.cursor = 0
        self._days: dict[int, dict[str, tuple[int, int]]] = {}
        self._versions: dict[int, int] = {}
        self._change = 0
        self._sums: dict[tuple[int, Hashable], tuple[tuple[int, ...], Counts]] = {}

    def put(self, rows: Iterable[LogRow], cursor: int, *, reset: bool = False) -> None:
        """Replace each row of its (day, item); ``reset`` drops everything first.

        Days more than five weeks before the newest are let go.
        """
        if reset:
            self._days.clear()
        self._change += 1
        for row in rows:
            day = self._days.setdefault(row.business_day, {})
            day[row.item_id] = (row.line_count, row.discounted_count)
            self._versions[row.business_day] = self._change
        if reset:
            self._versions = dict.fromkeys(self._days, self._change)
            self._sums.clear()
        for old in sorted(self._days)[:-_KEPT_DAYS]:
            del self._days[old]
            self._versions.pop(old, None)
        self.cursor = cursor

    def before(self, day: int, grouping: Grouping | None = None) -> Counts:
        """Return the week's counts before ``day`` (yyyymmdd), by item or by group."""
        week = _week_before(day)
        versions = tuple(self._versions.get(earlier, 0) for earlier in week)
        key = (day, None if grouping is None else grouping.identity)
        kept = self._sums.get(key)
        if kept is not None and kept[0] == versions:
            return kept[1]
        counts = self._summed(week, grouping)
        if len(self._sums) >= _KEPT_SUMS:
            del self._sums[next(iter(self._sums))]
        self._sums[key] = (versions, counts)
        return counts

    def _summed(self, week: Iterable[int], grouping: Grouping | None) -> Counts:
        by_item: dict[Hashable, tuple[int, int]] = {}
        items: dict[str, None] = {}
        for day in week:
            for item, (lines, discounted) in self._days.get(day, {}).items():
                items[item] = None
                before = by_item.get(item, (0, 0))
                by_item[item] = (before[0] + lines, before[1] + discounted)
        if grouping is None:
            return by_item
        sums: dict[Hashable, tuple[int, int]] = {}
        groups = grouping.group(items)
        for group, (lines, discounted) in zip(groups, by_item.values(), strict=True):
            if group is not None:
                before = sums.get(group, (0, 0))
                sums[group] = (before[0] + lines, before[1] + discounted)
        return sums


def _week_before(day: int) -> list[int]:
    """Return the days from Monday to the day before ``day``, as yyyymmdd."""
    today = date(day // 10_000, day // 100 % 100, day % 100)
    monday = today - timedelta(days=today.weekday())
    earlier = (monday + timedelta(days=i) for i in range(today.weekday()))
    return [d.year * 10_000 + d.month * 100 + d.day for d in earlier]
