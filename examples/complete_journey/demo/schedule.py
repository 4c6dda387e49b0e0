"""What happens in the store, and when: the WAN is pulled, the gateway dies, time goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from examples.complete_journey.demo.receipts import Receipt

WAN_CUT = (datetime(2017, 11, 27), datetime(2017, 12, 18))  # noqa: DTZ001
"""Store time, first moment out and first moment back."""
GATEWAY_DEAD = (datetime(2017, 12, 6), datetime(2017, 12, 8))  # noqa: DTZ001
"""Part of week 50: killed at the first moment, started again at the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of the store; ``receipts`` are positions in the replay, in order."""

    date: date
    week: int
    receipts: tuple[int, ...]

    @property
    def wan_up(self) -> bool:
        """Whether the WAN works on this day."""
        return not WAN_CUT[0].date() <= self.date < WAN_CUT[1].date()

    @property
    def gateway_up(self) -> bool:
        """Whether the gateway lives on this day."""
        return not GATEWAY_DEAD[0].date() <= self.date < GATEWAY_DEAD[1].date()


def days(receipts: list[Receipt]) -> Iterator[Day]:
    """Yield the days of the replay in order, closed ones too."""
    by_day: dict[date, list[int]] = {}
    week: dict[date, int] = {}
    for index, receipt in enumerate(receipts):
        day = receipt.basket.local_time.date()
        by_day.setdefault(day, []).append(index)
        week[day] = receipt.week
    day, last = min(by_day), max(by_day)
    current = week[day]
    while day <= last:
        current = week.get(day, current)
        yield Day(date=day, week=current, receipts=tuple(by_day.get(day, ())))
        day += timedelta(days=1)
