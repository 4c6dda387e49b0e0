"""The core's ``Basket`` written as ``posgate.v1.Basket``; ranges are the reader's affair."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from posgate.v1 import basket_pb2 as pb
from terminal_client.core import basket as core


def basket_to_pb(basket: core.Basket) -> pb.Basket:
    """Return the message of ``basket``; ranges are left to the receiver to judge."""
    ref = basket.transaction
    message = pb.Basket(
        transaction=pb.TransactionRef(
            store_id=ref.store_id,
            workstation_id=ref.workstation_id,
            business_day_date=ref.business_day_date,
            sequence_number=ref.sequence_number,
            basket_id=ref.basket_id,
            operator_id=ref.operator_id,
            lane_label=ref.lane_label,
            lane_kind=pb.LaneKind.ValueType(ref.lane_kind),
        ),
        transaction_type=pb.TransactionType.ValueType(basket.transaction_type),
        currency_code=basket.currency_code,
        currency_exponent=basket.currency_exponent,
        lines=[_line_to_pb(line) for line in basket.lines],
        coupons=[
            pb.PresentedCoupon(
                coupon_ref=coupon.coupon_ref,
                symbology=pb.CouponSymbology.ValueType(coupon.symbology),
                data=coupon.data,
                entry_method=pb.EntryMethod.ValueType(coupon.entry_method),
            )
            for coupon in basket.coupons
        ],
        tenders=[
            pb.Tender(
                line_number=tender.line_number,
                tender_type=pb.TenderType.ValueType(tender.tender_type),
                amount_minor=tender.amount_minor,
                instrument_token=tender.instrument_token,
            )
            for tender in basket.tenders
        ],
        loyalty_token=basket.loyalty_token,
        terminal_time=instant_to_pb(basket.terminal_time),
        basket_revision=basket.basket_revision,
        evaluation_time=instant_to_pb(basket.evaluation_time),
        basket_pin=basket.basket_pin,
        attributes=[value_to_pb(value) for value in basket.attributes],
    )
    age = basket.age_verification
    if age != core.AgeVerification():
        message.age_verification.CopyFrom(
            pb.AgeVerification(
                minimum_age_verified_years=age.minimum_age_verified_years,
                method=pb.AgeCheckMethod.ValueType(age.method),
                verified_time=instant_to_pb(age.verified_time),
            )
        )
    return message


def _line_to_pb(line: core.LineItem) -> pb.LineItem:
    return pb.LineItem(
        line_number=line.line_number,
        item_id=line.item_id,
        item_id_type=pb.ItemIdType.ValueType(line.item_id_type),
        department_id=line.department_id,
        quantity_milli=line.quantity_milli,
        unit_code=line.unit_code,
        regular_unit_price_minor=line.regular_unit_price_minor,
        actual_unit_price_minor=line.actual_unit_price_minor,
        extended_minor=line.extended_minor,
        entry_method=pb.EntryMethod.ValueType(line.entry_method),
        voided=line.voided,
        voids_line_number=line.voids_line_number,
        price_overridden=line.price_overridden,
        minimum_age_years=line.minimum_age_years,
        entered_time=instant_to_pb(line.entered_time),
        unit_price_scale=line.unit_price_scale,
        price_quantity_milli=line.price_quantity_milli,
        linked_line_number=line.linked_line_number,
        discounts=[
            pb.AppliedDiscount(
                kind=pb.DiscountKind.ValueType(discount.kind),
                amount_minor=discount.amount_minor,
                offer_id=discount.offer_id,
                coupon_ref=discount.coupon_ref,
            )
            for discount in line.discounts
        ],
        attributes=[value_to_pb(value) for value in line.attributes],
    )


def value_to_pb(value: core.NamedValue) -> pb.NamedValue:
    """Return the message of ``value``."""
    message = pb.NamedValue(name=value.name)
    setattr(message, value.kind, getattr(value, value.kind))
    return message


def instant_to_pb(instant: datetime | None) -> Timestamp | None:
    """Return the timestamp of an aware ``instant``, or None."""
    if instant is None:
        return None
    message = Timestamp()
    message.FromDatetime(instant)
    return message
