"""Buy so much of these, get a reward on so much of those.

The same units may serve either role, but each only once. As many applications are made as the
units allow; the work grows with the lines and not with the quantities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from terminal_client.core.promotion_offers import BuyGet, Choice
from terminal_client.core.promotion_pool import Segment, Take

_ORDERS = {choice: attrgetter(choice.value) for choice in Choice}
_PLACE = attrgetter("segment.place")


class _Cell:
    """A segment, the roles it may serve, and how much of it serves each."""

    __slots__ = ("bought", "buys", "gets", "got", "segment")

    def __init__(self, segment: Segment, buys: bool, gets: bool) -> None:
        self.segment = segment
        self.buys = buys
        self.gets = gets
        self.bought = 0
        self.got = 0

    @property
    def left(self) -> int:
        return self.segment.units - self.bought - self.got


class _Counter:
    """The cells in the order of the offer's choice, and what may still be got of both roles.

    Units that could be bought as well are got only while enough of them stay to be bought;
    otherwise the last applications would fail for want of something to buy.
    """

    def __init__(self, offer: BuyGet, cells: list[_Cell], most: int | None) -> None:
        self.buy, self.get = offer.buy.quantity_milli, offer.get.quantity_milli
        only_buys = [cell for cell in cells if cell.buys and not cell.gets]
        both = [cell for cell in cells if cell.buys and cell.gets]
        self.buyers = only_buys + both
        self.getters = [cell for cell in cells if cell.gets]
        buyable, gettable = _units(self.buyers), _units(self.getters)
        self.left = min(
            buyable // self.buy,
            gettable // self.get,
            _units(cells) // (self.buy + self.get),
        )
        if most is not None:
            self.left = min(self.left, most)
        self.quota = _units(both) - max(0, self.left * self.buy - _units(only_buys))

    def room(self, cell: _Cell) -> int:
        """Return how much may still be got of a getter."""
        return min(cell.left, self.quota) if cell.buys else cell.left

    def give(self, cell: _Cell, units: int) -> None:
        """Let so much of a getter be got."""
        cell.got += units
        if cell.buys:
            self.quota -= units


def buy_get_takes(
    offer: BuyGet, buyable: Sequence[Segment], gettable: Sequence[Segment], most: int | None
) -> list[Take]:
    """Return what ``most`` applications at most (None: as many as there are) take off.

    With the choice ``cheapest`` the cheapest units that may be got are, over all applications
    together. With ``dearest`` each application in turn buys the dearest units there are and
    gets the dearest of those that are left.
    """
    cells = _cells(offer, buyable, gettable)
    counter = _Counter(offer, cells, most)
    if offer.choice is Choice.CHEAPEST:
        _get(counter, counter.getters, counter.left * counter.get)
        _buy(counter.buyers, counter.left * counter.buy)
    else:
        _in_turn(counter)
    return [_take(offer, cell) for cell in sorted(cells, key=_PLACE) if _used(cell)]


def _cells(offer: BuyGet, buyable: Sequence[Segment], gettable: Sequence[Segment]) -> list[_Cell]:
    buys, gets = set(buyable), set(gettable)
    order = sorted(buys | gets, key=_ORDERS[offer.choice])
    return [_Cell(segment, segment in buys, segment in gets) for segment in order]


def _get(counter: _Counter, getters: Iterable[_Cell], wanted: int) -> None:
    for cell in getters:
        if not wanted:
            break
        units = min(wanted, counter.room(cell))
        counter.give(cell, units)
        wanted -= units


def _buy(buyers: Iterable[_Cell], wanted: int) -> None:
    for cell in buyers:
        if not wanted:
            break
        units = min(wanted, cell.left)
        cell.bought += units
        wanted -= units


def _in_turn(counter: _Counter) -> None:
    # Cells leave from the end. What has no room left never has any again.
    buyers, getters = counter.buyers[::-1], counter.getters[::-1]
    while counter.left:
        while not buyers[-1].left:
            buyers.pop()
        while not counter.room(getters[-1]):
            getters.pop()
        count = min(counter.left, _alike(counter, buyers[-1], getters[-1]))
        if count:
            buyers[-1].bought += count * counter.buy
            counter.give(getters[-1], count * counter.get)
        else:
            count = 1
            _buy(reversed(buyers), counter.buy)
            _get(counter, reversed(getters), counter.get)
        counter.left -= count


def _alike(counter: _Counter, buyer: _Cell, getter: _Cell) -> int:
    """Return how many applications these two cells serve alone."""
    room = counter.room(getter) // counter.get
    if buyer is getter:
        return min(room, buyer.left // (counter.buy + counter.get))
    return min(room, buyer.left // counter.buy)


def _take(offer: BuyGet, cell: _Cell) -> Take:
    segment = cell.segment
    got = segment.value(cell.got)
    return Take(
        segment,
        cell.bought + cell.got,
        segment.value(cell.bought + cell.got),
        offer.reward.off_units(got, cell.got),
    )


def _used(cell: _Cell) -> bool:
    return cell.left < cell.segment.units


def _units(cells: Sequence[_Cell]) -> int:
    return sum(cell.left for cell in cells)
