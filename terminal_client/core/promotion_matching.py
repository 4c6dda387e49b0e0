"""Which lines of a basket a promotion is about.

Owns the index that finds them: a basket has many lines and a bundle many promotions, but few
pairs of the two have anything to do with each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from terminal_client.core.balances import LineBalances
from terminal_client.core.promotion_deals import Roles
from terminal_client.core.promotion_offers import BuyGet, LineOffer, Offer, SetOffer
from terminal_client.core.promotion_terms import Selector


class LineIndex:
    """The lines that take part, by item and by department."""

    def __init__(self, balances: LineBalances) -> None:
        self._lines = balances.lines
        by_item: dict[str, list[int]] = defaultdict(list)
        by_department: dict[str, list[int]] = defaultdict(list)
        special = False
        for number, line in self._lines.items():
            by_item[line.item_id].append(number)
            by_department[line.department_id].append(number)
            special = special or line.price_overridden or line.linked_line_number != 0
        self._special = special
        self._by_item, self._items = by_item, frozenset(by_item)
        self._by_department, self._departments = by_department, frozenset(by_department)
        self._found: dict[Selector, tuple[int, ...]] = {}

    def select(self, selector: Selector) -> tuple[int, ...]:
        """Return the numbers of the lines that ``selector`` selects, ascending."""
        found = self._found.get(selector)
        if found is None:
            lines, narrowed = self._lines, self._narrowed(selector)
            if selector.plain and not self._special:
                found = tuple(narrowed)
            else:
                found = tuple([n for n in narrowed if selector.selects(lines[n])])
            self._found[selector] = found
        return found

    def _narrowed(self, selector: Selector) -> Iterable[int]:
        if selector.items is not None:
            return _ascending(self._by_item, selector.items & self._items)
        if selector.departments is not None:
            return _ascending(self._by_department, selector.departments & self._departments)
        return self._lines


def _ascending(numbers: Mapping[str, list[int]], names: Iterable[str]) -> list[int]:
    return sorted([number for name in names for number in numbers[name]])


def roles_of(offer: Offer, index: LineIndex) -> Roles:
    """Return the lines in each role of ``offer``; see ``promotion_deals.Roles``."""
    if isinstance(offer, LineOffer):
        return (index.select(offer.items),)
    if isinstance(offer, BuyGet):
        buy = index.select(offer.buy.items)
        # Buy one, get one: both roles are played by the same items.
        return buy, buy if offer.get is offer.buy else index.select(offer.get.items)
    if isinstance(offer, SetOffer):
        return _parts(offer, index)
    counted = index.select(offer.items)
    same = offer.reward_items is offer.items
    return counted, counted if same else index.select(offer.reward_items)


def _parts(offer: SetOffer, index: LineIndex) -> Roles:
    taken: set[int] = set()
    roles = []
    for part in offer.parts:
        numbers = tuple(n for n in index.select(part.items) if n not in taken)
        taken.update(numbers)
        roles.append(numbers)
    return tuple(roles)
