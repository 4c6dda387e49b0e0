"""What a self-describing GS1 AI 8110 coupon asks for, in the engine's terms.

Family codes are the maker's own grouping of its items, and no item number tells them: the
bundle carries the families the retailer was told, and says what to do about the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
from terminal_client.core.gs1 import Coupon8110, Purchase
from terminal_client.core.item_sets import ItemSets
from terminal_client.core.reading import DocumentError, Fields

_WHOLE_COMPANY = "000"
_RULES = (
    PurchaseRule.ANY,
    PurchaseRule.ALL,
    PurchaseRule.FIRST_AND_ANOTHER,
    # 3: items of all the purchases count towards the first one's requirement, see _pooled.
    PurchaseRule.ALL,
)
_POOLED = 3
_ATTENDANT = 9
_MEASURES = {
    0: (Measure.UNITS, 1),
    1: (Measure.MONEY, 1),
    2: (Measure.TRANSACTION, 1),
    # The code counts hundredths of a pound; a line counts thousandths.
    3: (Measure.POUNDS, 10),
    4: (Measure.KILOGRAMS, 1),
    # An attendant judges it: the engine refuses the coupon before any arithmetic.
    _ATTENDANT: (Measure.TRANSACTION, 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gs1Tables:
    """What the retailer knows of makers: ``families`` by company prefix and family code.

    ``company_match``: a coupon of a company without families is good for every item of it.
    ``retailer_ids``: the company prefixes and GLNs under which makers address this retailer.
    """

    families: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    company_match: bool = False
    retailer_ids: frozenset[str] = frozenset()

    def items(self, company: str, family: str) -> ItemGroup:
        """Return the items of a family; zeros at its end stand for any digits."""
        families = self.families.get(company)
        if families is None:
            whole = self.company_match
        else:
            whole = family == _WHOLE_COMPANY and self.company_match
        stem = family.rstrip("0")
        listed = (ids for code, ids in (families or {}).items() if code.startswith(stem))
        return ItemGroup(item_ids=frozenset().union(*listed), companies=(company,) if whole else ())


def needs_attendant(coupon: Coupon8110) -> bool:
    """Tell whether the coupon's issuer wants a person to judge the purchase."""
    return any(purchase.code == _ATTENDANT for purchase in coupon.purchases)


def terms_of(coupon: Coupon8110, tables: Gs1Tables) -> Terms:
    """Return the coupon in the engine's terms."""
    requirements = tuple(_requirement(purchase, tables) for purchase in coupon.purchases)
    if coupon.rules == _POOLED:
        requirements = (_pooled(requirements),)
    value = _value(coupon)
    return Terms(
        requirements=requirements,
        value=value,
        rule=_RULES[coupon.rules],
        # An index without a purchase is read as the first one.
        applies_to=coupon.applies_to if coupon.applies_to < len(requirements) else 0,
        funder=Funder.STORE if coupon.store_coupon else Funder.MAKER,
        multipliable=(
            coupon.multipliable and not coupon.store_coupon and value.kind is ValueKind.AMOUNT
        ),
    )


def read_gs1(fields: Fields, sets: ItemSets) -> Gs1Tables:
    """Read ``{families: {prefix: {code: items}}, company_match, retailer_ids}``.

    Raises:
        DocumentError: a key is unknown, or a prefix or family code is malformed.
    """
    tables = Gs1Tables(
        families=fields.table("families", lambda value, path: _families(value, path, sets)),
        company_match=fields.flag("company_match", default=False),
        retailer_ids=frozenset(fields.texts("retailer_ids")),
    )
    fields.close()
    for company in tables.families:
        if not (_digits(company) and 6 <= len(company) <= 12):
            raise DocumentError(
                fields.at(f"families.{company}"), "is no company prefix", "write 6 to 12 digits"
            )
    return tables


def _families(value: object, path: str, sets: ItemSets) -> dict[str, frozenset[str]]:
    families = {}
    for code, items in Fields(value, path).pairs():
        if not (_digits(code) and len(code) == 3):
            raise DocumentError(f"{path}.{code}", "is no family code", "write three digits")
        families[code] = sets.read(items, f"{path}.{code}")
    return families


def _requirement(purchase: Purchase, tables: Gs1Tables) -> Requirement:
    measure, factor = _MEASURES[purchase.code]
    return Requirement(
        items=tables.items(purchase.company, purchase.family),
        amount=purchase.amount * factor,
        measure=measure,
    )


def _pooled(requirements: tuple[Requirement, ...]) -> Requirement:
    groups = [requirement.items for requirement in requirements]
    return Requirement(
        items=ItemGroup(
            item_ids=frozenset().union(*(group.item_ids for group in groups)),
            companies=tuple(company for group in groups for company in group.companies),
        ),
        amount=requirements[0].amount,
        measure=requirements[0].measure,
    )


def _value(coupon: Coupon8110) -> Value:
    match coupon.value_code:
        case 0:
            return Value(kind=ValueKind.AMOUNT, amount_minor=coupon.save_value)
        case 1:
            return Value(kind=ValueKind.FREE_ITEM, max_minor=coupon.save_value)
        case 2:
            return Value(kind=ValueKind.FREE_ITEM, count=coupon.save_value)
        case 5:
            return Value(kind=ValueKind.PERCENT, percent_bp=coupon.save_value * 100)
        case _:
            return Value(kind=ValueKind.TRANSACTION, amount_minor=coupon.save_value)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
