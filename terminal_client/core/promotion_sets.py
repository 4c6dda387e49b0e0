"""Mix and match: sets of parts at a reward per set.

Sets are made of each part's dearest units first, and no set is made that saves nothing. Equal
sets are made at once, so that the work grows with the lines and not with the quantities.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from terminal_client.core.money import divide_half_up, share_out
from terminal_client.core.promotion_offers import SetOffer
from terminal_client.core.promotion_pool import Segment, Take
from terminal_client.core.promotion_terms import RewardKind

_DEAREST = attrgetter("dearest")
_PLACE = attrgetter("segment.place")


class _Cell:
    """A segment while sets are made of it."""

    __slots__ = ("money", "segment", "units")

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.units = segment.units
        self.money = segment.money

    def pick(self, units: int) -> _Pick:
        return self, units, divide_half_up(self.money * units, self.units)


_Pick = tuple[_Cell, int, int]
"""A cell, the units picked of it, and the money on them."""


def set_takes(offer: SetOffer, pools: Sequence[Sequence[Segment]], most: int | None) -> list[Take]:
    """Return what ``most`` sets at most (None: as many as there are) take off.

    ``pools`` holds one part's segments each, no segment twice.
    """
    # Cells leave from the end, so the dearest come last.
    stacks = [[_Cell(segment) for segment in sorted(pool, key=_DEAREST)][::-1] for pool in pools]
    cells = [cell for stack in stacks for cell in stack]
    quantities = [part.quantity_milli for part in offer.parts]
    left = min(
        sum(cell.units for cell in stack) // quantity
        for stack, quantity in zip(stacks, quantities, strict=True)
    )
    left = left if most is None else min(left, most)
    off, value = 0, 0
    while left:
        count, picks = _next_sets(stacks, quantities, left)
        worth = sum(money for _, _, money in picks)
        saved = offer.reward.off_sets(worth, count)
        if not saved and offer.reward.kind is RewardKind.PRICE:
            # Every later set is worth no more than this one.
            break
        for cell, units, money in picks:
            cell.units -= units
            cell.money -= money
        off, value, left = off + saved, value + worth, left - count
    # A share is rounded once, whatever the sets were.
    percent = offer.reward.kind is RewardKind.PERCENT
    return _shared(cells, offer.reward.off_sets(value, 1) if percent else off)


def _next_sets(
    stacks: list[list[_Cell]], quantities: list[int], most: int
) -> tuple[int, list[_Pick]]:
    """Return how many equal sets come next, and what they are made of."""
    for stack in stacks:
        while not stack[-1].units:
            stack.pop()
    pairs = list(zip(stacks, quantities, strict=True))
    count = min(most, *(stack[-1].units // quantity for stack, quantity in pairs))
    if count:
        return count, [stack[-1].pick(count * quantity) for stack, quantity in pairs]
    return 1, [pick for stack, quantity in pairs for pick in _across(stack, quantity)]


def _across(stack: list[_Cell], quantity: int) -> list[_Pick]:
    """Pick one part of a set that spreads over several cells."""
    picks = []
    for cell in reversed(stack):
        if not quantity:
            break
        units = min(quantity, cell.units)
        picks.append(cell.pick(units))
        quantity -= units
    return picks


def _shared(cells: list[_Cell], discount: int) -> list[Take]:
    used = sorted((c for c in cells if c.units < c.segment.units), key=_PLACE)
    shares = share_out(discount, [cell.segment.money - cell.money for cell in used])
    return [
        Take(
            cell.segment,
            cell.segment.units - cell.units,
            cell.segment.money - cell.money,
            share,
        )
        for cell, share in zip(used, shares, strict=True)
    ]
