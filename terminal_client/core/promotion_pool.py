"""What is left for a phase's promotions: units and the money on them, line by line.

A promotion that does not stack claims the units it uses: nobody else in the phase sees them or
their money again. One that stacks moves them to the line's shared pot, where further stacking
promotions find them with the money that is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from terminal_client.core.balances import LineBalances
from terminal_client.core.money import divide_half_up

# Two unequal unit prices of at most 10^9 thousandths differ by at least 10^-18.
_EXACT = 10**18


class Segment:
    """Units of one line that a promotion may use, all at one price; both are above zero.

    Immutable, and compared by identity: a phase asks for the same segment many times.
    """

    __slots__ = ("line_number", "money", "shared", "units")

    def __init__(self, line_number: int, shared: bool, units: int, money: int) -> None:
        self.line_number = line_number
        self.shared = shared
        self.units = units
        self.money = money

    @property
    def place(self) -> tuple[int, bool]:
        """Where the segment is: orders segments of one basket."""
        return self.line_number, self.shared

    @property
    def cheapest(self) -> tuple[int, int, bool]:
        """Orders segments by the exact price of a unit, then by place."""
        return self.money * _EXACT // self.units, self.line_number, self.shared

    @property
    def dearest(self) -> tuple[int, int, bool]:
        """Orders segments by the exact price of a unit, dearest first, then by place."""
        return -(self.money * _EXACT // self.units), self.line_number, self.shared

    def value(self, units: int) -> int:
        """Return the money on so many of the units, rounded half up; all of it on all."""
        return divide_half_up(self.money * units, self.units)


class Take(NamedTuple):
    """What a deal uses of one segment: units, the money on them, and how much of it comes off."""

    segment: Segment
    units: int
    value: int
    discount: int


Pot = tuple[Segment | None, Segment | None]
"""One line's units that nobody used, and those that stacking promotions did.

None stands for units without money on them: they take no part, because what costs nothing is
not bought, and nothing can come off it.
"""

Pots = dict[int, Pot]


def pots_of(balances: LineBalances) -> Pots:
    """Return the pots at the beginning of a phase."""
    return {
        number: (_segment(number, False, line.quantity_milli, balances.balance(number)), None)
        for number, line in balances.lines.items()
    }


def segments(
    pots: Mapping[int, Pot], line_numbers: Iterable[int], stackable: bool
) -> list[Segment]:
    """Return what a promotion finds on these lines, in their order."""
    if not stackable:
        return [free for free, _ in [pots[n] for n in line_numbers] if free is not None]
    return [segment for n in line_numbers for segment in pots[n] if segment is not None]


def use(pots: Pots, takes: Iterable[Take], stackable: bool) -> None:
    """Book a deal's takes; the pots are as they were when it was made."""
    for segment, units, value, discount in takes:
        number = segment.line_number
        free, used = pots[number]
        if segment.shared:
            pots[number] = free, _segment(number, True, segment.units, segment.money - discount)
            continue
        left = _segment(number, False, segment.units - units, segment.money - value)
        if stackable:
            used = _more(used, number, units, value - discount)
        pots[number] = left, used


def _segment(number: int, shared: bool, units: int, money: int) -> Segment | None:
    return Segment(number, shared, units, money) if units > 0 and money > 0 else None


def _more(segment: Segment | None, number: int, units: int, money: int) -> Segment | None:
    if segment is None:
        return _segment(number, True, units, money)
    return _segment(number, True, segment.units + units, segment.money + money)
