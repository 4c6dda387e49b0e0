"""Integer money: how it is rounded, how it is shared out, how many digits a currency has.

Every amount is a whole number of minor units. Nothing here knows of baskets or offers, and
nothing here may ever see a float.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from terminal_client.core.reading import Fields

BASIS_POINTS = 10_000
"""Basis points in one whole: 100 % is 10,000."""

_DEFAULT_EXPONENT = 2
# ISO 4217 names these exceptions and no others; every other currency has two digits.
_EXPONENTS = {
    **dict.fromkeys(["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"], 0),
    **dict.fromkeys(["UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"], 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}


def currency_exponent(currency_code: str, override: int | None = None) -> int:
    """Return the decimal places of a currency, in ``[0, 4]`` unless overridden.

    ``override`` (``Basket.currency_exponent``) wins: a POS may disagree with ISO 4217. A code
    that ISO 4217 does not give another exponent, an unknown one included, has two.
    """
    if override is not None:
        return override
    return _EXPONENTS.get(currency_code, _DEFAULT_EXPONENT)


def divide_half_up(numerator: int, denominator: int) -> int:
    """Return the quotient rounded to the nearest integer, a tie towards positive infinity.

    ``denominator`` is positive. Rounding a discount up on a tie favours the customer.
    """
    return (2 * numerator + denominator) // (2 * denominator)


def share_out(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """Share ``amount_minor`` by largest remainder: the shares sum to it exactly.

    A tie of remainders goes to the earlier weight, so callers pass weights in a canonical
    order. Where ``amount_minor <= sum(weights)`` no share exceeds its weight; shares are
    never negative.

    Raises:
        ValueError: an amount or weight is negative, or there is an amount and no weight.
    """
    total = sum(weights)
    if amount_minor < 0 or any(weight < 0 for weight in weights):
        raise ValueError("amount and weights must not be negative")
    if total == 0:
        if amount_minor:
            raise ValueError("an amount needs a weight above zero")
        return [0] * len(weights)
    shares = [amount_minor * weight // total for weight in weights]
    left = amount_minor - sum(shares)
    if left:
        # sorted() is stable: of equal remainders the earlier comes first.
        order = sorted(range(len(weights)), key=lambda i: -(amount_minor * weights[i] % total))
        for index in order[:left]:
            shares[index] += 1
    return shares


@dataclass(frozen=True, slots=True)
class Price:
    """A price as shelves write it: ``amount_minor / 10**scale`` buys ``quantity_milli``.

    "3 for 5.00" is an amount of 500 for 3,000 thousandths; 1.459 per litre, with two digits in
    the currency, is 1,459 at scale 1.
    """

    amount_minor: int
    scale: int = 0
    quantity_milli: int = 1000

    def of(self, quantity_milli: int) -> int:
        """Return what ``quantity_milli`` thousandths cost, in minor units, rounded half up."""
        return divide_half_up(
            self.amount_minor * quantity_milli, self.quantity_milli * 10**self.scale
        )


def read_price(fields: Fields, key: str = "amount_minor") -> Price:
    """Read a price from ``key`` and the optional ``unit_price_scale``, ``price_quantity_milli``.

    The names and ranges are those of ``posgate.v1.LineItem``, but a price is never negative.

    Raises:
        DocumentError: a number is missing, mistyped or out of range.
    """
    return Price(
        amount_minor=fields.integer(key, 0, 10**12),
        scale=fields.integer("unit_price_scale", 0, 6, default=0),
        quantity_milli=fields.integer("price_quantity_milli", 1, 10**9, default=1000),
    )
