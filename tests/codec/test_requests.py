"""What a terminal may send is read whole; anything else is refused by field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from posgate.v1 import basket_pb2, decision_pb2
from terminal_client.codec import (
    RequestError,
    basket_from_pb,
    basket_to_pb,
    decode_request,
    encode_request,
)
from terminal_client.core import basket as core
from tests.codec.baskets import baskets

Change = Callable[[decision_pb2.EvaluateRequest], object]
VISA = "4111 1111 1111 1111"


def _refusal(message: decision_pb2.EvaluateRequest) -> RequestError | None:
    try:
        decode_request(message)
    except RequestError as error:
        return error
    return None


def request() -> decision_pb2.EvaluateRequest:
    line = core.LineItem(line_number=1, item_id="a")
    return encode_request("r1", core.Basket(lines=(line,)), ["price_check"])


@given(baskets())
def test_a_basket_survives_the_wire(basket: core.Basket) -> None:
    raw = basket_to_pb(basket).SerializeToString()
    assert basket_from_pb(basket_pb2.Basket.FromString(raw)) == basket


@given(st.binary(max_size=2_000))
def test_any_bytes_are_a_request_or_a_named_refusal(raw: bytes) -> None:
    message = decision_pb2.EvaluateRequest()
    try:
        message.ParseFromString(raw)
    except DecodeError:
        # Not even protobuf: gRPC refuses it before we see it.
        return
    refusal = _refusal(message)
    assert refusal is None or (refusal.field and refusal.remedy)


def test_a_request_is_read_as_written() -> None:
    message = encode_request(
        "r-1", None, ["queue_estimate"], timedelta(milliseconds=250), "till 4.2"
    )
    decoded = decode_request(message)
    assert decoded.request_id == "r-1"
    assert decoded.basket is None
    assert decoded.workflows == ("queue_estimate",)
    assert decoded.budget == timedelta(milliseconds=250)
    assert decoded.client_version == "till 4.2"
    assert decoded.redacted_count == 0


def _set(path: str, value: object) -> Change:
    *parents, last = path.split(".")

    def change(message: decision_pb2.EvaluateRequest) -> None:
        place: object = message
        for parent in parents:
            place = place[int(parent)] if parent.isdigit() else getattr(place, parent)  # type: ignore[index]
        setattr(place, last, value)

    return change


REFUSED: dict[str, tuple[Change, str]] = {
    "no id": (_set("request_id", ""), "request_id"),
    "id with blanks": (_set("request_id", "a b"), "request_id"),
    "id that is a card": (_set("request_id", "4111-1111-1111-1111"), "request_id"),
    "long lane": (_set("basket.transaction.lane_label", "1" * 65), "basket.transaction.lane_label"),
    "long attribute": (
        lambda m: m.basket.attributes.add(name="a", string_value="0" * 100_000),
        "basket.attributes.string_value",
    ),
    "no workflow": (lambda m: m.ClearField("workflows"), "workflows"),
    "17 workflows": (lambda m: m.workflows.extend(f"w{i}" for i in range(16)), "workflows"),
    "a workflow twice": (lambda m: m.workflows.append("price_check"), "workflows[1]"),
    "no workflow name": (lambda m: m.workflows.append("../x"), "workflows[1]"),
    "no budget": (lambda m: m.budget.FromTimedelta(timedelta(0)), "budget"),
    "a negative budget": (lambda m: m.budget.FromTimedelta(timedelta(seconds=-1)), "budget"),
    "an hour's budget": (lambda m: m.budget.FromTimedelta(timedelta(hours=1)), "budget"),
    "61 seconds": (lambda m: m.budget.FromTimedelta(timedelta(seconds=60.5)), "budget"),
    "long version": (_set("client_version", "x" * 65), "client_version"),
    "line 0": (_set("basket.lines.0.line_number", 0), "basket.lines[0].line_number"),
    "line twice": (lambda m: m.basket.lines.add(line_number=1), "basket.lines[1].line_number"),
    "long item": (_set("basket.lines.0.item_id", "x" * 65), "basket.lines[0].item_id"),
    "quantity": (
        _set("basket.lines.0.quantity_milli", 10**9 + 1),
        "basket.lines[0].quantity_milli",
    ),
    "money": (_set("basket.lines.0.extended_minor", -(2**63)), "basket.lines[0].extended_minor"),
    "scale": (_set("basket.lines.0.unit_price_scale", 7), "basket.lines[0].unit_price_scale"),
    "age": (_set("basket.lines.0.minimum_age_years", -1), "basket.lines[0].minimum_age_years"),
    "discounts": (
        lambda m: m.basket.lines[0].discounts.extend([basket_pb2.AppliedDiscount()] * 33),
        "basket.lines[0].discounts",
    ),
    "attributes": (
        lambda m: m.basket.attributes.extend([basket_pb2.NamedValue(name="a")] * 65),
        "basket.attributes",
    ),
    "attribute name": (lambda m: m.basket.attributes.add(name="A"), "basket.attributes[0].name"),
    "coupon ref": (lambda m: m.basket.coupons.add(data="x"), "basket.coupons[0].coupon_ref"),
    "coupon twice": (
        lambda m: [m.basket.coupons.add(coupon_ref="c") for _ in "ab"],
        "basket.coupons[1].coupon_ref",
    ),
    "2,001 lines": (
        lambda m: m.basket.lines.extend(
            basket_pb2.LineItem(line_number=n) for n in range(2, 2_002)
        ),
        "basket.lines",
    ),
    "currency": (_set("basket.currency_code", "usd"), "basket.currency_code"),
    "exponent": (_set("basket.currency_exponent", 5), "basket.currency_exponent"),
    "revision": (_set("basket.basket_revision", 2**53), "basket.basket_revision"),
    "pin": (_set("basket.basket_pin", bytes(257)), "basket.basket_pin"),
    "store": (_set("basket.transaction.store_id", "a/b"), "basket.transaction.store_id"),
    "day": (
        _set("basket.transaction.business_day_date", "27.11.2017"),
        "basket.transaction.business_day_date",
    ),
    "time": (
        lambda m: setattr(m.basket.evaluation_time, "seconds", 10**12),
        "basket.evaluation_time",
    ),
    "nanos": (lambda m: setattr(m.basket.terminal_time, "nanos", -1), "basket.terminal_time"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_contract_forbids_is_refused_by_field(name: str) -> None:
    change, field = REFUSED[name]
    message = request()
    change(message)
    with pytest.raises(RequestError) as caught:
        decode_request(message)
    assert caught.value.field == field
    assert caught.value.remedy


def test_unknown_enum_numbers_read_as_unspecified() -> None:
    message = request()
    message.basket.ParseFromString(
        basket_pb2.Basket(lines=[basket_pb2.LineItem(line_number=1)]).SerializeToString()
        # transaction_type (field 2) = 99
        + b"\x10\x63"
    )
    decoded = decode_request(message)
    assert decoded.basket is not None
    assert decoded.basket.transaction_type is core.TransactionType.UNSPECIFIED


CARD_FIELDS: dict[str, Change] = {
    "loyalty_token": _set("basket.loyalty_token", VISA),
    "operator_id": _set("basket.transaction.operator_id", VISA.replace(" ", "-")),
    "lane_label": _set("basket.transaction.lane_label", f"lane {VISA}"),
    "attribute": lambda m: m.basket.attributes.add(name="note", string_value=VISA),
    "line attribute": lambda m: m.basket.lines[0].attributes.add(name="n", string_value=VISA),
    "token": lambda m: m.basket.tenders.add(line_number=1, instrument_token=VISA),
    "client_version": _set("client_version", VISA),
    "basket_id": _set("basket.transaction.basket_id", VISA),
    "department": _set("basket.lines.0.department_id", VISA),
    "whole number": lambda m: m.basket.attributes.add(name="n", int_value=4111111111111111),
}


@pytest.mark.parametrize("name", CARD_FIELDS)
def test_a_card_number_is_blanked_and_leaves_no_trace(name: str) -> None:
    message = request()
    CARD_FIELDS[name](message)
    decoded = decode_request(message)
    assert decoded.redacted_count == 1
    assert b"4111" not in decoded.message.SerializeToString()
    assert "4111" not in repr(decoded.basket)


@pytest.mark.parametrize(
    ("token", "kept"),
    [
        ("tok_1A2b3C4d", True),
        ("short1", False),
        ("12345678", False),
        ("has blank1", False),
        ("x" * 64, True),
        ("x" * 65, False),
        ("a4111111111111111", False),
    ],
)
def test_instrument_tokens_have_one_shape(token: str, kept: bool) -> None:
    message = request()
    message.basket.tenders.add(line_number=1, instrument_token=token)
    decoded = decode_request(message)
    assert decoded.basket is not None
    assert decoded.basket.tenders[0].instrument_token == (token if kept else "")


def test_item_ids_and_coupons_are_never_taken_for_card_numbers() -> None:
    gtin = "04111111111111111"[:14]
    message = request()
    message.basket.lines[0].item_id = "4111111111111111"
    message.basket.coupons.add(coupon_ref="c", data="8110" + "4111111111111111")
    message.basket.lines.add(line_number=2, item_id=gtin)
    assert decode_request(message).redacted_count == 0
