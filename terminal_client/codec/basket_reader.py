"""``posgate.v1.Basket`` read into the core's ``Basket``.

Reading validates: the core's types are only ever built from values inside the contract's
ranges. An enum number that this version does not know reads as UNSPECIFIED.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from posgate.v1 import basket_pb2 as pb
from terminal_client.codec.card_numbers import holds_card_number, payment_token
from terminal_client.codec.request_error import RequestError
from terminal_client.core import basket as core

MAX_LINES, MAX_COUPONS, MAX_TENDERS, MAX_VALUES, MAX_DISCOUNTS = 2_000, 200, 50, 64, 32
MAX_MONEY_MINOR = 10**12
MAX_QUANTITY_MILLI = 10**9
MAX_SEQUENCE = 2**53 - 1
MAX_LINE_NUMBER = 2**31 - 1
PIN_BYTES = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = int(datetime(2201, 1, 1, tzinfo=UTC).timestamp()) - 1
_ID = re.compile(r"[A-Za-z0-9._-]*\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")

_MONEY = (-MAX_MONEY_MINOR, MAX_MONEY_MINOR)
_QUANTITY = (-MAX_QUANTITY_MILLI, MAX_QUANTITY_MILLI)
# Checked in a loop, so that a field's path is only written out when it is wrong: a basket
# of 160 lines is read twenty thousand times an hour.
_LINE_RANGES = (
    ("line_number", 1, MAX_LINE_NUMBER),
    ("quantity_milli", *_QUANTITY),
    ("regular_unit_price_minor", *_MONEY),
    ("actual_unit_price_minor", *_MONEY),
    ("extended_minor", *_MONEY),
    ("voids_line_number", 0, MAX_LINE_NUMBER),
    ("minimum_age_years", 0, 150),
    ("unit_price_scale", 0, 6),
    ("price_quantity_milli", 0, MAX_QUANTITY_MILLI),
    ("linked_line_number", 0, MAX_LINE_NUMBER),
)
_LINE_TEXTS = (("item_id", 64), ("department_id", 64), ("unit_code", 8))
_DISCOUNT_RANGES = (("amount_minor", *_MONEY),)
_DISCOUNT_TEXTS = (("offer_id", 128), ("coupon_ref", 64))
_TRANSACTION_TEXTS = (
    ("store_id", 64),
    ("workstation_id", 64),
    ("basket_id", 64),
    ("operator_id", 64),
    ("lane_label", 64),
)
_VALUE_TEXTS = (("name", 64), ("string_value", 256))
_SHORTEST_CARD = 13
_ITEM_ID_TYPES = {value.value: value for value in core.ItemIdType}
_ENTRY_METHODS = {value.value: value for value in core.EntryMethod}
_DISCOUNT_KINDS = {value.value: value for value in core.DiscountKind}


def basket_from_pb(message: pb.Basket, path: str = "basket") -> core.Basket:
    """Return the basket that ``message`` holds.

    Raises:
        RequestError: a field is out of the contract's range; names field and remedy.
    """
    _at_most(message.lines, MAX_LINES, f"{path}.lines")
    _at_most(message.coupons, MAX_COUPONS, f"{path}.coupons")
    _at_most(message.tenders, MAX_TENDERS, f"{path}.tenders")
    if message.currency_code and not _CURRENCY.match(message.currency_code):
        raise RequestError(f"{path}.currency_code", "is no ISO 4217 code", "send three letters")
    if len(message.basket_pin) > PIN_BYTES:
        raise RequestError(f"{path}.basket_pin", "is too long", "echo the last answer's pin")
    lines = tuple(_line(line, f"{path}.lines[{i}]") for i, line in enumerate(message.lines))
    tenders = tuple(
        _tender(tender, f"{path}.tenders[{i}]") for i, tender in enumerate(message.tenders)
    )
    coupons = tuple(
        _coupon(coupon, f"{path}.coupons[{i}]") for i, coupon in enumerate(message.coupons)
    )
    _unique((line.line_number for line in lines), f"{path}.lines", "line_number")
    _unique((tender.line_number for tender in tenders), f"{path}.tenders", "line_number")
    _unique((coupon.coupon_ref for coupon in coupons), f"{path}.coupons", "coupon_ref")
    exponent = message.currency_exponent if message.HasField("currency_exponent") else None
    if exponent is not None:
        _range(exponent, 0, 4, f"{path}.currency_exponent")
    return core.Basket(
        transaction=_transaction(message.transaction, f"{path}.transaction"),
        transaction_type=core.TransactionType(message.transaction_type),
        currency_code=message.currency_code,
        currency_exponent=exponent,
        lines=lines,
        coupons=coupons,
        tenders=tenders,
        loyalty_token=_identifier(message.loyalty_token, f"{path}.loyalty_token"),
        terminal_time=_instant(message, "terminal_time", path),
        basket_revision=_range(message.basket_revision, 0, MAX_SEQUENCE, f"{path}.basket_revision"),
        evaluation_time=_instant(message, "evaluation_time", path),
        basket_pin=message.basket_pin,
        age_verification=_age(message.age_verification, f"{path}.age_verification"),
        attributes=_values(message.attributes, f"{path}.attributes"),
    )


def redact(message: pb.Basket, path: str = "basket") -> int:
    """Blank every field of ``message`` that may hold a card number; return how many.

    Raises:
        RequestError: a text is longer than the contract allows; it is not searched.
    """
    blanked = redact_transaction(message.transaction, f"{path}.transaction")
    blanked += _blank(message, (("loyalty_token", 64),), path)
    for tender in message.tenders:
        if tender.instrument_token and not payment_token(tender.instrument_token):
            tender.instrument_token = ""
            blanked += 1
    for i, line in enumerate(message.lines):
        blanked += _blank(line, (("department_id", 64),), f"{path}.lines[{i}]")
        if line.attributes:
            blanked += _blank_values(line.attributes, f"{path}.lines[{i}].attributes")
    return blanked + _blank_values(message.attributes, f"{path}.attributes")


def redact_transaction(message: pb.TransactionRef, path: str = "transaction") -> int:
    """Blank every field that may hold a card number; return how many. As ``redact``."""
    return _blank(message, _TRANSACTION_TEXTS, path)


def _blank(message: object, texts: Iterable[tuple[str, int]], path: str) -> int:
    blanked = 0
    for name, longest in texts:
        text = getattr(message, name)
        # Too short to hold a card number; most texts are.
        if len(text) < _SHORTEST_CARD:
            continue
        if holds_card_number(_text(text, longest, f"{path}.{name}")):
            setattr(message, name, "")
            blanked += 1
    return blanked


def _blank_values(values: Iterable[pb.NamedValue], path: str) -> int:
    blanked = 0
    for value in values:
        blanked += _blank(value, _VALUE_TEXTS, path)
        if holds_card_number(str(abs(value.int_value))):
            value.int_value = 0
            blanked += 1
    return blanked


def instant_from_pb(message: Timestamp, path: str) -> datetime:
    """Return the instant in years 1970 to 2200; anything else raises RequestError."""
    if not 0 <= message.seconds <= _LAST_SECOND or not 0 <= message.nanos < 10**9:
        raise RequestError(path, "is outside 1970 to 2200", "send the POS's clock in UTC")
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def _line(line: pb.LineItem, path: str) -> core.LineItem:
    _check(line, _LINE_RANGES, _LINE_TEXTS, path)
    return core.LineItem(
        line_number=line.line_number,
        item_id=line.item_id,
        item_id_type=_ITEM_ID_TYPES.get(line.item_id_type, core.ItemIdType.UNSPECIFIED),
        department_id=line.department_id,
        quantity_milli=line.quantity_milli,
        unit_code=line.unit_code,
        regular_unit_price_minor=line.regular_unit_price_minor,
        actual_unit_price_minor=line.actual_unit_price_minor,
        extended_minor=line.extended_minor,
        entry_method=_ENTRY_METHODS.get(line.entry_method, core.EntryMethod.UNSPECIFIED),
        voided=line.voided,
        voids_line_number=line.voids_line_number,
        price_overridden=line.price_overridden,
        minimum_age_years=line.minimum_age_years,
        entered_time=_instant(line, "entered_time", path),
        unit_price_scale=line.unit_price_scale,
        price_quantity_milli=line.price_quantity_milli,
        linked_line_number=line.linked_line_number,
        discounts=_discounts(line.discounts, path) if line.discounts else (),
        attributes=_values(line.attributes, f"{path}.attributes") if line.attributes else (),
    )


def _discounts(
    discounts: Sequence[pb.AppliedDiscount], path: str
) -> tuple[core.AppliedDiscount, ...]:
    _at_most(discounts, MAX_DISCOUNTS, f"{path}.discounts")
    return tuple(
        _discount(discount, f"{path}.discounts[{i}]") for i, discount in enumerate(discounts)
    )


def _transaction(ref: pb.TransactionRef, path: str) -> core.TransactionRef:
    if ref.business_day_date and not _DATE.match(ref.business_day_date):
        raise RequestError(f"{path}.business_day_date", "is no date", "send YYYY-MM-DD")
    return core.TransactionRef(
        store_id=_identifier(ref.store_id, f"{path}.store_id"),
        workstation_id=_identifier(ref.workstation_id, f"{path}.workstation_id"),
        business_day_date=ref.business_day_date,
        sequence_number=_range(ref.sequence_number, 0, MAX_SEQUENCE, f"{path}.sequence_number"),
        basket_id=_text(ref.basket_id, 64, f"{path}.basket_id"),
        operator_id=_text(ref.operator_id, 64, f"{path}.operator_id"),
        lane_label=_text(ref.lane_label, 64, f"{path}.lane_label"),
        lane_kind=core.LaneKind(ref.lane_kind),
    )


def _discount(discount: pb.AppliedDiscount, path: str) -> core.AppliedDiscount:
    _check(discount, _DISCOUNT_RANGES, _DISCOUNT_TEXTS, path)
    return core.AppliedDiscount(
        kind=_DISCOUNT_KINDS.get(discount.kind, core.DiscountKind.UNSPECIFIED),
        amount_minor=discount.amount_minor,
        offer_id=discount.offer_id,
        coupon_ref=discount.coupon_ref,
    )


def _coupon(coupon: pb.PresentedCoupon, path: str) -> core.PresentedCoupon:
    if not coupon.coupon_ref:
        raise RequestError(f"{path}.coupon_ref", "is empty", "name the coupon in this basket")
    return core.PresentedCoupon(
        coupon_ref=_text(coupon.coupon_ref, 64, f"{path}.coupon_ref"),
        symbology=core.CouponSymbology(coupon.symbology),
        data=_text(coupon.data, 256, f"{path}.data"),
        entry_method=core.EntryMethod(coupon.entry_method),
    )


def _tender(tender: pb.Tender, path: str) -> core.Tender:
    return core.Tender(
        line_number=_range(tender.line_number, 1, MAX_LINE_NUMBER, f"{path}.line_number"),
        tender_type=core.TenderType(tender.tender_type),
        amount_minor=_range(
            tender.amount_minor, -MAX_MONEY_MINOR, MAX_MONEY_MINOR, f"{path}.amount_minor"
        ),
        instrument_token=_text(tender.instrument_token, 64, f"{path}.instrument_token"),
    )


def _age(age: pb.AgeVerification, path: str) -> core.AgeVerification:
    return core.AgeVerification(
        minimum_age_verified_years=_range(
            age.minimum_age_verified_years, 0, 150, f"{path}.minimum_age_verified_years"
        ),
        method=core.AgeCheckMethod(age.method),
        verified_time=_instant(age, "verified_time", path),
    )


def _values(values: Sequence[pb.NamedValue], path: str) -> tuple[core.NamedValue, ...]:
    _at_most(values, MAX_VALUES, path)
    return tuple(value_from_pb(value, f"{path}[{i}]") for i, value in enumerate(values))


def value_from_pb(value: pb.NamedValue, path: str) -> core.NamedValue:
    """Return the named value; a bad name or an over-long text raises RequestError."""
    if not _NAME.match(value.name):
        raise RequestError(f"{path}.name", "is no name", "use [a-z][a-z0-9_]*, at most 64")
    return core.NamedValue(
        name=value.name,
        int_value=value.int_value,
        bool_value=value.bool_value,
        string_value=_text(value.string_value, 256, f"{path}.string_value"),
        double_value=value.double_value,
        kind=value.WhichOneof("value") or "int_value",
    )


def _instant(message: object, name: str, path: str) -> datetime | None:
    if not message.HasField(name):  # type: ignore[attr-defined]
        return None
    return instant_from_pb(getattr(message, name), f"{path}.{name}")


def _check(
    message: object,
    ranges: Iterable[tuple[str, int, int]],
    texts: Iterable[tuple[str, int]],
    path: str,
) -> None:
    for name, low, high in ranges:
        if not low <= getattr(message, name) <= high:
            _range(getattr(message, name), low, high, f"{path}.{name}")
    for name, longest in texts:
        if len(getattr(message, name)) > longest:
            _text(getattr(message, name), longest, f"{path}.{name}")


def _range(value: int, low: int, high: int, path: str) -> int:
    if not low <= value <= high:
        raise RequestError(path, f"is {value}", f"send an integer in [{low}, {high}]")
    return value


def _text(value: str, longest: int, path: str) -> str:
    if len(value) > longest:
        raise RequestError(path, "is too long", f"send at most {longest} characters")
    return value


def _identifier(value: str, path: str) -> str:
    if len(value) > 64 or not _ID.match(value):
        raise RequestError(path, "is malformed", "send at most 64 of [A-Za-z0-9._-]")
    return value


def _at_most(values: Sequence[object], most: int, path: str) -> None:
    if len(values) > most:
        raise RequestError(path, f"has {len(values)} entries", f"send at most {most}")


def _unique(keys: Iterable[object], path: str, name: str) -> None:
    seen: set[object] = set()
    for i, key in enumerate(keys):
        if key in seen:
            raise RequestError(f"{path}[{i}].{name}", "is a duplicate", "number each entry once")
        seen.add(key)
