"""Which units of a basket carry a coupon already, and what they are worth.

A unit carries at most one coupon per funder, so two coupons never share the item that earns
them. What units are worth is fixed before the first coupon; what may be taken off is bounded
by that and by what is left on the line.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import LineItem
from terminal_client.core.coupon_terms import (
    Funder,
    ItemGroup,
    Measure,
    PurchaseRule,
    Requirement,
    Terms,
    Value,
    ValueKind,
)
from terminal_client.core.decision import LineAllocation
from terminal_client.core.money import BASIS_POINTS, divide_half_up, share_out

Units = Mapping[int, int]
"""Units by line number, each above zero."""

# UN/CEFACT recommendation 20: sold by measure. Such a line is one unit, whatever it weighs.
_POUND, _KILOGRAM = "LBR", "KGM"
_MEASURED = frozenset((_POUND, _KILOGRAM, "GRM", "ONZ", "LTR", "MLT", "MTR", "FOT", "GLL"))
_WEIGHED_IN = {Measure.POUNDS: _POUND, Measure.KILOGRAMS: _KILOGRAM}


@dataclass(frozen=True, slots=True)
class Found:
    """Units that meet a coupon's terms: ``valued`` get its value, ``used`` are all of them.

    Empty ``valued``: the value is for all lines.
    """

    valued: Units
    used: Units


class Claims:
    """The units of one basket, and which of them carry a coupon so far."""

    def __init__(self, balances: LineBalances) -> None:
        self._balances = balances
        self._units = {number: _units(line) for number, line in balances.lines.items()}
        self._start = {number: balances.balance(number) for number in balances.lines}
        self._claimed: dict[Funder, Counter[int]] = defaultdict(Counter)
        # Dearest unit first, then the lower line: the order in which units are claimed.
        order = sorted(balances.lines, key=lambda number: (-self._price(number, 1), number))
        self._rank = {number: rank for rank, number in enumerate(order)}
        self._by_item: dict[str, list[int]] = defaultdict(list)
        for number in order:
            self._by_item[balances.lines[number].item_id].append(number)

    def qualifies(self, terms: Terms) -> bool:
        """Tell whether the right items are there at all, enough of them or not."""
        there = [bool(self._lines(requirement)) for requirement in terms.requirements]
        if terms.rule is PurchaseRule.ALL:
            return all(there)
        if terms.rule is PurchaseRule.FIRST_AND_ANOTHER:
            return there[0] and any(there[1:])
        return any(there)

    def find(self, terms: Terms) -> Found | None:
        """Return unclaimed units that meet ``terms``, or None; claims nothing."""
        used: Counter[int] = Counter()
        groups: list[Units | None] = []
        for requirement in terms.requirements:
            group = self._fill(requirement, self._claimed[terms.funder] + used)
            groups.append(group)
            used.update(group or {})
            if group is not None and _met(terms.rule, groups):
                break
        filled = [group for group in groups if group is not None]
        complete = len(filled) == len(terms.requirements)
        if not (complete if terms.rule is PurchaseRule.ALL else _met(terms.rule, groups)):
            return None
        wanted = groups[terms.applies_to] if terms.applies_to < len(groups) else None
        # Where one of several purchases is enough, the value goes to the one that was made.
        return Found(filled[-1] if wanted is None else wanted, used)

    def claim(self, found: Found, funder: Funder) -> None:
        """Mark the units used: no other coupon of ``funder`` may count them."""
        self._claimed[funder].update(found.used)

    def discounts(self, value: Value, units: Units) -> dict[int, int]:
        """Return what ``value`` takes off each line, in minor units above zero."""
        if value.kind is ValueKind.NONE:
            return {}
        if value.kind is ValueKind.FREE_ITEM:
            units = self._cheapest(value.count, units)
            worth = self.worth(units) if units else {}
            amount = sum(worth.values())
        elif value.kind is ValueKind.PERCENT:
            worth = self.worth(units)
            amount = divide_half_up(sum(worth.values()) * value.percent_bp, BASIS_POINTS)
        else:
            worth = self.worth({} if value.kind is ValueKind.TRANSACTION else units)
            amount = value.amount_minor
        return spread(min(amount, value.max_minor) if value.max_minor else amount, worth)

    def worth(self, units: Units) -> dict[int, int]:
        """Return what may at most be taken off ``units`` (empty: all lines), by line."""
        if not units:
            return {number: self._balances.balance(number) for number in self._start}
        return {
            number: min(self._balances.balance(number), self._price(number, count))
            for number, count in units.items()
        }

    def take(self, discounts: Mapping[int, int]) -> tuple[LineAllocation, ...]:
        """Take ``discounts``, which ``worth`` bounds, off the balances."""
        return tuple(
            LineAllocation(line_number=number, discount_minor=self._balances.take(number, amount))
            for number, amount in sorted(discounts.items())
        )

    def _price(self, number: int, count: int) -> int:
        return divide_half_up(self._start[number] * count, self._units[number])

    def _lines(self, requirement: Requirement) -> list[int]:
        """Return the lines that count towards ``requirement``, dearest unit first."""
        if requirement.measure is Measure.TRANSACTION:
            return list(self._start)
        numbers = self._group(requirement.items)
        unit_code = _WEIGHED_IN.get(requirement.measure)
        if unit_code is None:
            return numbers
        return [number for number in numbers if self._balances.lines[number].unit_code == unit_code]

    def _group(self, items: ItemGroup) -> list[int]:
        held = self._by_item.keys() & items.item_ids
        if items.companies:
            held |= {item_id for item_id in self._by_item if items.of_company(item_id)}
        if len(held) == 1:
            return self._by_item[held.pop()]
        return sorted(
            (number for item_id in held for number in self._by_item[item_id]),
            key=self._rank.__getitem__,
        )

    def _fill(self, requirement: Requirement, claimed: Counter[int]) -> Units | None:
        if requirement.measure is Measure.TRANSACTION:
            return {} if sum(self._start.values()) >= requirement.amount else None
        units: dict[int, int] = {}
        reached = 0
        for number in self._lines(requirement):
            free = self._units[number] - claimed[number]
            if reached >= requirement.amount and units:
                break
            if free <= 0:
                continue
            match requirement.measure:
                case Measure.UNITS:
                    units[number] = min(free, max(1, requirement.amount - reached))
                    reached += units[number]
                case Measure.MONEY:
                    units[number] = free
                    reached += self._price(number, free)
                case _:
                    units[number] = free
                    reached += self._balances.units(number)
        return units if units and reached >= requirement.amount else None

    def _cheapest(self, count: int, units: Units) -> Units:
        chosen: dict[int, int] = {}
        for number in sorted(units, key=lambda number: (self._price(number, 1), number)):
            if count > 0:
                chosen[number] = min(units[number], count)
                count -= chosen[number]
        return chosen


def spread(amount_minor: int, room: Mapping[int, int]) -> dict[int, int]:
    """Share ``amount_minor`` over lines by their ``room``, never above it."""
    numbers = sorted(room)
    weights = [room[number] for number in numbers]
    shares = share_out(min(amount_minor, sum(weights)), weights)
    return {number: share for number, share in zip(numbers, shares, strict=True) if share}


def _met(rule: PurchaseRule, groups: list[Units | None]) -> bool:
    """Tell whether the purchases looked at so far are enough, without the others."""
    made = sum(group is not None for group in groups)
    if rule is PurchaseRule.ANY:
        return made >= 1
    return rule is PurchaseRule.FIRST_AND_ANOTHER and groups[0] is not None and made >= 2


def _units(line: LineItem) -> int:
    if line.unit_code in _MEASURED or line.quantity_milli % 1000:
        return 1
    return line.quantity_milli // 1000
