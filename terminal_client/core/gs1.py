"""GS1 coupon element strings: AI 8110, AI 8112 and AI 255.

Owns the syntax only. Reading is total: every string gives a typed coupon or a ``Malformed``
that says where; nothing raises. What a coupon is worth, and whether it may be used, is for
``coupon_gs1`` and ``coupon_engine``.

Field order, length indicators and allowed codes follow the GS1 General Specifications and the
reference linters ``lint_couponcode.c`` and ``lint_couponposoffer.c`` of the GS1 Barcode Syntax
Dictionary; what the codes mean follows the North American Coupon Application Guideline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from terminal_client.core.gs1_fields import Cursor, Field, Malformed, fixed, indicated

AI_8110 = "8110"
AI_8112 = "8112"
AI_255 = "255"
LONGEST_8110 = 70
"""Characters after the AI, by the General Specifications (X..70)."""

_GCN_DIGITS, _GCN_SERIAL_DIGITS = 13, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One purchase requirement.

    ``code`` 0: ``amount`` units; 1: minor units of money on these items; 2: minor units on the
    whole transaction; 3: hundredths of a pound; 4: thousandths of a kilogram; 9: a person
    decides. ``company`` is the GS1 company prefix, 6 to 12 digits.
    """

    amount: int
    code: int
    family: str
    company: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon8110:
    """A North American coupon code.

    ``rules``: 0 any purchase, 1 all, 2 the first and one more, 3 all items count towards the
    first. ``value_code``: 0 money off, 1 one free item (up to ``save_value`` if above 0), 2
    ``save_value`` free items, 5 per cent off, 6 money off the transaction. ``applies_to``: the
    purchase, 0 to 2, whose items get it. Dates are ``yymmdd``; empty: none.
    """

    company: str
    offer_code: str
    save_value: int
    purchases: tuple[Purchase, ...]
    rules: int = 1
    expires: str = ""
    starts: str = ""
    serial: str = ""
    retailer: str = ""
    value_code: int = 0
    applies_to: int = 0
    store_coupon: bool = False
    multipliable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon8112:
    """A coupon of the positive offer file; its value is not in it."""

    format_code: int
    funder: str
    offer_code: str
    serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponNumber:
    """A global coupon number: 13 digits with a check digit, and perhaps a serial."""

    number: str
    serial: str = ""


_REQUIREMENT_CODES = "012349"
_PRIMARY = (
    indicated("company", "0123456", plus=6),
    fixed("offer code", 6),
    indicated("save value", "12345", plus=0),
    indicated("requirement 1", "12345", plus=0),
    fixed("requirement code 1", 1, _REQUIREMENT_CODES),
    fixed("family 1", 3),
)
# A company indicator of 9 means "as in the first purchase".
_SECOND = (
    fixed("purchase rules", 1, "0123"),
    indicated("requirement 2", "12345", plus=0),
    fixed("requirement code 2", 1, _REQUIREMENT_CODES),
    fixed("family 2", 3),
    indicated("company 2", "0123456", plus=6, none="9"),
)
_THIRD = (
    indicated("requirement 3", "12345", plus=0),
    fixed("requirement code 3", 1, _REQUIREMENT_CODES),
    fixed("family 3", 3),
    indicated("company 3", "0123456", plus=6, none="9"),
)
# Each at most once, in this order.
_OPTIONAL: tuple[tuple[str, tuple[Field, ...]], ...] = (
    ("1", _SECOND),
    ("2", _THIRD),
    ("3", (fixed("expiration date", 6, dated=True),)),
    ("4", (fixed("start date", 6, dated=True),)),
    ("5", (indicated("serial number", "0123456789", plus=6),)),
    ("6", (indicated("retailer", "1234567", plus=6),)),
    (
        "9",
        (
            fixed("save value code", 1, "01256"),
            fixed("applies to item", 1, "012"),
            fixed("store coupon flag", 1),
            fixed("don't multiply flag", 1, "01"),
        ),
    ),
)
_POSITIVE_OFFER = (
    fixed("format code", 1, "01"),
    indicated("funder", "0123456", plus=6),
    fixed("offer code", 6),
    indicated("serial number", "0123456789", plus=6),
)


def parse_8110(data: str) -> Coupon8110 | Malformed:
    """Read an AI 8110 element string, with or without its AI; never raises."""
    cursor = Cursor.over(data, AI_8110)
    if cursor.left() > LONGEST_8110:
        cursor.fail("is longer than 70 digits", cursor.position + LONGEST_8110)
    found = cursor.read(_PRIMARY)
    for indicator, fields in _OPTIONAL:
        if cursor.at(indicator):
            found.update(cursor.read(fields))
    cursor.end()
    starts, expires = found.get("start date", ""), found.get("expiration date", "")
    # The reference linter compares the six digits too.
    if starts and expires and expires < starts:
        cursor.fail("expires before it starts", cursor.begin["expiration date"])
    return cursor.malformed or _coupon_8110(found)


def parse_8112(data: str) -> Coupon8112 | Malformed:
    """Read an AI 8112 element string, with or without its AI; never raises."""
    cursor = Cursor.over(data, AI_8112)
    found = cursor.read(_POSITIVE_OFFER)
    cursor.end()
    return cursor.malformed or Coupon8112(
        format_code=int(found["format code"]),
        funder=found["funder"],
        offer_code=found["offer code"],
        serial=found["serial number"],
    )


def parse_gcn(data: str) -> CouponNumber | Malformed:
    """Read an AI 255 element string; never raises.

    The AI is taken off only with brackets or a symbology identifier: a coupon number may
    itself begin with 255.
    """
    cursor = Cursor.over(data, AI_255, ambiguous=True)
    begin, length = cursor.position, cursor.left()
    if not _GCN_DIGITS <= length <= _GCN_DIGITS + _GCN_SERIAL_DIGITS:
        cursor.fail("is not 13 to 25 digits long", begin + min(length, _GCN_DIGITS))
    number = data[begin : begin + _GCN_DIGITS]
    if cursor.malformed is None and _check_digit(number[:-1]) != number[-1]:
        cursor.fail("has a wrong check digit", begin + _GCN_DIGITS - 1)
    return cursor.malformed or CouponNumber(number=number, serial=data[begin + _GCN_DIGITS :])


def full_date(yymmdd: str, today: int) -> int:
    """Return ``yyyymmdd`` of a parsed date, as seen on ``today`` (``yyyymmdd``).

    The General Specifications put the year within 50 years after and 49 before this one.
    """
    this_year = today // 10_000
    year = this_year // 100 * 100 + int(yymmdd[:2])
    if year - this_year >= 51:
        year -= 100
    elif year - this_year <= -50:
        year += 100
    return year * 10_000 + int(yymmdd[2:])


def _coupon_8110(found: Mapping[str, str]) -> Coupon8110:
    company = found["company"]
    purchases = tuple(
        Purchase(
            amount=int(found[f"requirement {number}"]),
            code=int(found[f"requirement code {number}"]),
            family=found[f"family {number}"],
            # The field "company 1" does not exist, and indicator 9 leaves the others empty.
            company=found.get(f"company {number}", "") or company,
        )
        for number in (1, 2, 3)
        if f"requirement {number}" in found
    )
    return Coupon8110(
        company=company,
        offer_code=found["offer code"],
        save_value=int(found["save value"]),
        purchases=purchases,
        # A third purchase without a second brings no rule: then all must be bought.
        rules=int(found.get("purchase rules", "1")),
        expires=found.get("expiration date", ""),
        starts=found.get("start date", ""),
        serial=found.get("serial number", ""),
        retailer=found.get("retailer", ""),
        value_code=int(found.get("save value code", "0")),
        applies_to=int(found.get("applies to item", "0")),
        store_coupon=found.get("store coupon flag", "0") != "0",
        multipliable=found.get("don't multiply flag", "0") == "0",
    )


def _check_digit(digits: str) -> str:
    """Return the GS1 check digit: weights 3, 1, 3, ... from the right."""
    total = sum(int(digit) * (3 if i % 2 == 0 else 1) for i, digit in enumerate(reversed(digits)))
    return str(-total % 10)
