"""Baskets that hypothesis makes: anything the contract allows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from terminal_client.core import basket as core

_MONEY = st.integers(-(10**12), 10**12)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="0123456789"), max_size=20)
_ID = st.text("abcXYZ._-", max_size=12)
# Protobuf keeps nanoseconds, the core microseconds.
_INSTANT = st.none() | st.datetimes(
    datetime(1970, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC)
)


@st.composite
def _values(draw: st.DrawFn) -> core.NamedValue:
    kind = draw(st.sampled_from(["int_value", "bool_value", "string_value", "double_value"]))
    value: Any = {
        "int_value": st.integers(-(2**63), 2**63 - 1),
        "bool_value": st.booleans(),
        "string_value": _TEXT,
        "double_value": st.floats(allow_nan=False),
    }[kind]
    name = draw(st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True))
    chosen: dict[str, Any] = {kind: draw(value)}
    return core.NamedValue(name=name, kind=kind, **chosen)


_DISCOUNT = st.builds(
    core.AppliedDiscount,
    kind=st.sampled_from(core.DiscountKind),
    amount_minor=_MONEY,
    offer_id=_TEXT,
    coupon_ref=_TEXT,
)


def _line(number: int) -> st.SearchStrategy[core.LineItem]:
    return st.builds(
        core.LineItem,
        line_number=st.just(number),
        item_id=_TEXT,
        item_id_type=st.sampled_from(core.ItemIdType),
        department_id=_TEXT,
        quantity_milli=st.integers(-(10**9), 10**9),
        unit_code=st.sampled_from(["", "EA", "KGM"]),
        regular_unit_price_minor=_MONEY,
        actual_unit_price_minor=_MONEY,
        extended_minor=_MONEY,
        entry_method=st.sampled_from(core.EntryMethod),
        voided=st.booleans(),
        voids_line_number=st.integers(0, 2**31 - 1),
        price_overridden=st.booleans(),
        minimum_age_years=st.integers(0, 150),
        entered_time=_INSTANT,
        unit_price_scale=st.integers(0, 6),
        price_quantity_milli=st.integers(0, 10**9),
        linked_line_number=st.integers(0, 2**31 - 1),
        discounts=st.lists(_DISCOUNT, max_size=3).map(tuple),
        attributes=st.lists(_values(), max_size=2).map(tuple),
    )


@st.composite
def baskets(draw: st.DrawFn, most_lines: int = 4) -> core.Basket:
    """Return a basket inside the contract's ranges."""
    numbers = draw(st.lists(st.integers(1, 2**31 - 1), max_size=most_lines, unique=True))
    coupons = draw(st.lists(_TEXT.filter(bool), max_size=2, unique=True))
    return core.Basket(
        transaction=core.TransactionRef(
            store_id=draw(_ID),
            workstation_id=draw(_ID),
            business_day_date=draw(st.sampled_from(["", "2017-11-27"])),
            sequence_number=draw(st.integers(0, 2**53 - 1)),
            basket_id=draw(_TEXT),
            operator_id=draw(_TEXT),
            lane_label=draw(_TEXT),
            lane_kind=draw(st.sampled_from(core.LaneKind)),
        ),
        transaction_type=draw(st.sampled_from(core.TransactionType)),
        currency_code=draw(st.sampled_from(["", "USD", "JPY"])),
        currency_exponent=draw(st.none() | st.integers(0, 4)),
        lines=tuple(draw(_line(number)) for number in numbers),
        coupons=tuple(
            core.PresentedCoupon(
                coupon_ref=ref,
                symbology=draw(st.sampled_from(core.CouponSymbology)),
                data=draw(_TEXT),
                entry_method=draw(st.sampled_from(core.EntryMethod)),
            )
            for ref in coupons
        ),
        tenders=tuple(
            core.Tender(
                line_number=number,
                tender_type=draw(st.sampled_from(core.TenderType)),
                amount_minor=draw(_MONEY),
                instrument_token=draw(st.sampled_from(["", "tok_abcdefgh"])),
            )
            for number in range(1, draw(st.integers(1, 3)))
        ),
        loyalty_token=draw(_ID),
        terminal_time=draw(_INSTANT),
        basket_revision=draw(st.integers(0, 2**53 - 1)),
        evaluation_time=draw(_INSTANT),
        basket_pin=draw(st.binary(max_size=256)),
        age_verification=core.AgeVerification(
            minimum_age_verified_years=draw(st.integers(0, 150)),
            method=draw(st.sampled_from(core.AgeCheckMethod)),
            verified_time=draw(_INSTANT),
        ),
        attributes=tuple(draw(st.lists(_values(), max_size=2))),
    )
