"""The money that offers may still take off a basket's lines.

Owns which lines take part and how far they can be discounted. Promotions and coupons take from
the same balances in turn, so that all offers together never push a line below zero.

What an earlier answer took off and the POS has booked since (an ``AppliedDiscount`` that names
one of our own offers) is given back first: evaluating a later revision of the same basket
starts from the same money and gives the same answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from terminal_client.core.basket import Basket, LineItem
from terminal_client.core.decision import LineAllocation, Reason
from terminal_client.core.money import share_out

LINE_NUMBER_DUPLICATE = "LINE_NUMBER_DUPLICATE"
LINE_OUT_OF_RANGE = "LINE_OUT_OF_RANGE"

# The contract's ranges. Inside them no sum over a basket can leave int64.
_MONEY_MAX = 10**12
_QUANTITY_MAX_MILLI = 10**9
_LINE_NUMBER_MAX = 2**31 - 1
_LINES_NAMED_MAX = 8

Snapshot = Mapping[int, int]
"""What ``LineBalances.snapshot`` returned; opaque."""


class LineBalances:
    """What is left on each line that offers may touch, in ascending order of line number.

    A line takes part when it is not voided (by its own flag or by another line), sells
    something (quantity above zero) and is identified by its number. Others take part in
    nothing: ``balance`` and ``units`` are 0 for them.
    """

    __slots__ = ("_balances", "_lines", "reasons")

    def __init__(self, lines: Mapping[int, LineItem], balances: dict[int, int]) -> None:
        self._lines = lines
        self._balances = balances
        self.reasons: tuple[Reason, ...] = ()

    @classmethod
    def of(cls, basket: Basket, own_offer_ids: Collection[str]) -> LineBalances:
        """Return the balances of ``basket``; never raises.

        ``own_offer_ids`` are all the offers of the bundle in force (promotions and coupons):
        what they took off before is given back. ``reasons`` says which lines were left out
        because their number is not unique or a value is outside the contract's range.
        """
        own = frozenset(own_offer_ids)
        counts = Counter(line.line_number for line in basket.lines)
        taken_back = {line.voids_line_number for line in basket.lines if not line.voided} - {0}
        lines: dict[int, LineItem] = {}
        balances: dict[int, int] = {}
        out_of_range = []
        for line in sorted(basket.lines, key=lambda line: line.line_number):
            number = line.line_number
            if line.voided or number in taken_back:
                continue
            if line.quantity_milli <= 0 or counts[number] > 1:
                continue
            if not _inside_contract(line):
                out_of_range.append(number)
                continue
            lines[number] = line
            balances[number] = max(0, line.extended_minor + _own_discounts(line, own))
        found = cls(lines, balances)
        duplicates = sorted(number for number, count in counts.items() if count > 1)
        found.reasons = (
            *_reasons(LINE_NUMBER_DUPLICATE, duplicates),
            *_reasons(LINE_OUT_OF_RANGE, out_of_range),
        )
        return found

    @property
    def lines(self) -> Mapping[int, LineItem]:
        """The lines that take part, by ascending line number."""
        return self._lines

    def balance(self, line_number: int) -> int:
        """Return the money still on the line, in minor units; 0 if it takes no part."""
        return self._balances.get(line_number, 0)

    def units(self, line_number: int) -> int:
        """Return the line's quantity in thousandths; 0 if it takes no part."""
        line = self._lines.get(line_number)
        return 0 if line is None else line.quantity_milli

    def total(self, line_numbers: Iterable[int] | None = None) -> int:
        """Return the money still on these lines (each counted once), or on all of them."""
        if line_numbers is None:
            return sum(self._balances.values())
        return sum(self.balance(number) for number in set(line_numbers))

    def take(self, line_number: int, amount_minor: int) -> int:
        """Take up to ``amount_minor`` off the line; return what was taken.

        Takes the whole balance where that is less, and nothing for an amount below zero.
        """
        taken = min(self.balance(line_number), max(0, amount_minor))
        if taken:
            self._balances[line_number] -= taken
        return taken

    def allocate(
        self, amount_minor: int, line_numbers: Iterable[int]
    ) -> tuple[LineAllocation, ...]:
        """Take ``amount_minor`` off these lines, shared by largest remainder.

        Lines weigh what is still on them, so none goes below zero; where all of them together
        hold less, all of it is taken. The allocations sum to what was taken, are above zero and
        come in ascending order of line number; a tie goes to the lower number.
        """
        numbers = [number for number in sorted(set(line_numbers)) if self.balance(number)]
        weights = [self._balances[number] for number in numbers]
        shares = share_out(min(max(0, amount_minor), sum(weights)), weights)
        for number, share in zip(numbers, shares, strict=True):
            self._balances[number] -= share
        return tuple(
            LineAllocation(line_number=number, discount_minor=share)
            for number, share in zip(numbers, shares, strict=True)
            if share
        )

    def snapshot(self) -> Snapshot:
        """Return the present balances, for ``rollback``."""
        return dict(self._balances)

    def rollback(self, snapshot: Snapshot) -> None:
        """Go back to ``snapshot``, which may be used again."""
        self._balances = dict(snapshot)


def _own_discounts(line: LineItem, own: frozenset[str]) -> int:
    if not line.discounts:
        return 0
    return sum(discount.amount_minor for discount in line.discounts if discount.offer_id in own)


def _inside_contract(line: LineItem) -> bool:
    return (
        1 <= line.line_number <= _LINE_NUMBER_MAX
        and line.quantity_milli <= _QUANTITY_MAX_MILLI
        and -_MONEY_MAX <= line.extended_minor <= _MONEY_MAX
        and all(-_MONEY_MAX <= d.amount_minor <= _MONEY_MAX for d in line.discounts)
    )


def _reasons(code: str, numbers: list[int]) -> tuple[Reason, ...]:
    """Name the first few lines only: a hostile basket must not blow up the answer."""
    return tuple(Reason(code=code, line_number=n) for n in numbers[:_LINES_NAMED_MAX])
