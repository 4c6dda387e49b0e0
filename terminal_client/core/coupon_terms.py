"""What a coupon asks for and what it gives: the terms, whoever wrote them.

Store coupons of the bundle and self-describing GS1 coupons both become ``Terms``, so that
one engine judges them. Amounts are minor units, shares are basis points.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Funder(StrEnum):
    """Who pays for a coupon. A unit may carry one coupon of each."""

    STORE = "store"
    MAKER = "maker"


class ValueKind(StrEnum):
    """What a coupon takes off."""

    AMOUNT = "amount"
    PERCENT = "percent"
    FREE_ITEM = "free_item"
    TRANSACTION = "transaction"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a coupon takes off, and at most how much (``max_minor``; 0: no cap).

    AMOUNT and TRANSACTION: ``amount_minor`` off the required units, or off the whole basket.
    PERCENT: ``percent_bp`` of the required units (above 10,000: all of them). FREE_ITEM: the
    cheapest ``count`` of them.
    """

    kind: ValueKind
    amount_minor: int = 0
    percent_bp: int = 0
    count: int = 1
    max_minor: int = 0


class Measure(StrEnum):
    """What a purchase requirement counts."""

    UNITS = "units"
    MONEY = "money"
    TRANSACTION = "transaction"
    POUNDS = "pounds"
    KILOGRAMS = "kilograms"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemGroup:
    """Items, by identifier or as all the GTIN-14 of GS1 company prefixes."""

    item_ids: frozenset[str] = frozenset()
    companies: tuple[str, ...] = ()

    def of_company(self, item_id: str) -> bool:
        """Tell whether ``item_id`` is a GTIN-14 of one of the companies.

        Behind the indicator digit stands the company prefix; a prefix of six digits is a
        U.P.C. company prefix, which lacks the leading zero.
        """
        if len(item_id) != 14:
            return False
        return any(
            item_id.startswith(company if len(company) > 6 else f"0{company}", 1)
            for company in self.companies
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """``amount`` of ``measure`` must be bought of ``items``.

    UNITS: whole units; MONEY and TRANSACTION: minor units before coupons; POUNDS and
    KILOGRAMS: thousandths.
    """

    items: ItemGroup
    amount: int = 1
    measure: Measure = Measure.UNITS


class PurchaseRule(StrEnum):
    """How several requirements go together."""

    ANY = "any"
    ALL = "all"
    FIRST_AND_ANOTHER = "first_and_another"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A coupon's requirements and value.

    ``applies_to`` is the index of the requirement whose units get the value. ``multipliable``:
    the store may add its match.
    """

    requirements: tuple[Requirement, ...]
    value: Value
    rule: PurchaseRule = PurchaseRule.ALL
    applies_to: int = 0
    funder: Funder = Funder.STORE
    multipliable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubling:
    """The store's match to a maker's coupon ("double coupons").

    Matches the whole face up to ``full_up_to_minor``; above it, what is missing to
    ``up_to_total_minor``; from there on nothing. Booked under ``offer_id``.
    """

    offer_id: str
    full_up_to_minor: int
    up_to_total_minor: int

    def match_minor(self, face_minor: int) -> int:
        """Return what the store adds to one coupon of ``face_minor``; never negative."""
        if face_minor <= self.full_up_to_minor:
            return max(face_minor, 0)
        return max(self.up_to_total_minor - face_minor, 0)
