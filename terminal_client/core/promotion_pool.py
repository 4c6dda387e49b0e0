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


class Pot(NamedTuple):
    """One line's units and money: untouched ones, and those that stacking promotions used."""

    units: int
    money: int
    shared_units: int = 0
    shared_money: int = 0


Pots = dict[int, Pot]


class Segment(NamedTuple):
    """Units of one line that a promotion may use, all at one price; both are above zero."""

    line_number: int
    shared: bool
    units: int
    money: int

    @property
    def unit_price(self) -> int:
        """A key that orders segments exactly by the price of a unit."""
        return self.money * _EXACT // self.units

    def value(self, units: int) -> int:
        """Return the money on so many of the units, rounded half up; all of it on all."""
        return divide_half_up(self.money * units, self.units)


class Take(NamedTuple):
    """What a deal uses of one segment: units, the money on them, and how much of it comes off."""

    line_number: int
    shared: bool
    units: int
    value: int
    discount: int


def pots_of(balances: LineBalances) -> Pots:
    """Return the pots at the beginning of a phase."""
    return {
        number: Pot(balances.units(number), balances.balance(number)) for number in balances.lines
    }


def segments(
    pots: Mapping[int, Pot], line_numbers: Iterable[int], stackable: bool
) -> list[Segment]:
    """Return what a promotion finds on these lines, in their order.

    Units without money on them take no part: what costs nothing is not bought, and nothing can
    come off it.
    """
    found = []
    for number in line_numbers:
        units, money, shared_units, shared_money = pots[number]
        if units > 0 and money > 0:
            found.append(Segment(number, False, units, money))
        if stackable and shared_units > 0 and shared_money > 0:
            found.append(Segment(number, True, shared_units, shared_money))
    return found


def use(pots: Pots, takes: Iterable[Take], stackable: bool) -> None:
    """Book a deal's takes, each of which fits its segment."""
    for number, shared, units, value, discount in takes:
        pot = pots[number]
        if shared:
            pots[number] = pot._replace(shared_money=pot.shared_money - discount)
        elif stackable:
            pots[number] = Pot(
                pot.units - units,
                pot.money - value,
                pot.shared_units + units,
                pot.shared_money + value - discount,
            )
        else:
            pots[number] = pot._replace(units=pot.units - units, money=pot.money - value)
