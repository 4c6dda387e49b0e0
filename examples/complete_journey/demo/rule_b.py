"""Rule B, recomputed: what the store's signed tables alone would have said of each line.

Rule B expects a loyalty price where the product is in the mailer of that week's plan, or
where most of the chain's lines of it sold at one last week. Which tables those are is told
by the rules version that took part in the call, so a store that was cut off is measured
against the rule it could have used, not against tables it never got.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from examples.complete_journey.artifacts import BOOK_WEEKS
from examples.complete_journey.demo.records import CallRecord
from examples.complete_journey.demo.shares import Share
from examples.complete_journey.fallback import fallback_tables
from examples.complete_journey.replay import ReplayBasket
from terminal_client.core.tables import PlannedWeek, PriceTable

PriceTables = Callable[[int], PriceTable]
"""Gives the price table that the rules of a week carry."""

_SEQUENCE_NUMBERS = 2**31
"""A register's sequence number is the receipt's number folded to 31 bits."""


class RuleB:
    """Judges the lines of recorded calls by rule B."""

    def __init__(self, baskets: Iterable[ReplayBasket], tables: PriceTables) -> None:
        self._baskets = {basket.basket % _SEQUENCE_NUMBERS: basket for basket in baskets}
        self._tables = tables

    def share(self, call: CallRecord) -> Share:
        """Return how many lines of a final call rule B gets right.

        Raises:
            ValueError: the call's basket or one of its lines is not the replay's.
        """
        if not call.lines:
            return Share()
        basket = self._baskets.get(call.basket % _SEQUENCE_NUMBERS)
        if basket is None:
            raise ValueError(f"{call.request_id}: receipt {call.basket} is not in the replay")
        table = self._tables(rules_week(call.rules_version))
        day = int(f"{basket.local_time:%Y%m%d}")
        right = 0
        for line in call.lines:
            if not 1 <= line.line_number <= len(basket.lines):
                raise ValueError(f"{call.request_id}: receipt has no line {line.line_number}")
            sold = basket.lines[line.line_number - 1]
            # Joined by number alone, so make sure that both mean the same line.
            if line.truth != (sold.loyalty_minor > 0):
                raise ValueError(f"{call.request_id}: line {line.line_number} differs from replay")
            right += table.loyalty_price_applies(str(sold.product), day) == line.truth
        return Share(right, len(call.lines))


def rules_week(version: str) -> int:
    """Return the week a rules version ``1.<week>.<patch>`` is for.

    Raises:
        ValueError: it is no such version, or no book of that week is committed.
    """
    parts = version.split(".")
    if len(parts) != 3 or not parts[1].isdecimal() or int(parts[1]) not in BOOK_WEEKS:
        raise ValueError(f"rules version {version!r:.40} names no week of {BOOK_WEEKS}")
    return int(parts[1])


@cache
def committed_table(week: int) -> PriceTable:
    """Return the price table in the rules of ``week``, from the committed books."""
    tables = fallback_tables(week)
    # As the desk publishes it: next week's plan ships ahead.
    weeks = [tables, *(fallback_tables(later) for later in (week + 1,) if later in BOOK_WEEKS)]
    return PriceTable(
        plan=tuple(
            PlannedWeek(
                first_date=_number(each["plan_first_day"]),
                last_date=_number(each["plan_last_day"]),
                items=frozenset(each["plan_yes"]),
            )
            for each in weeks
        ),
        majority=frozenset(tables["majority_yes"]),
    )


def _number(iso_date: str) -> int:
    return int(iso_date.replace("-", ""))
