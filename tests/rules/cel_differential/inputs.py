"""Random inputs of every type that rules read, as the core's objects and as protobuf."""

from __future__ import annotations

from random import Random
from typing import Any

from google.protobuf.message import Message

from posgate.v1 import rules_pb2
from terminal_client.core import basket as core
from terminal_client.core.expression_types import BOOL, INT, Schema, ValueType
from terminal_client.core.rule_input import RuleContext, RuleInput
from tests.rules.cel_differential.generator import INT_CHOICES, STRING_CHOICES


def draw_value(random: Random, kind: ValueType) -> Any:
    """Draw a value of a type without messages, as the evaluator holds it."""
    if kind.kind == "list":
        return tuple(draw_value(random, kind.parameters[0]) for _ in range(random.randint(0, 4)))
    if kind.kind == "map":
        key, value = kind.parameters
        count = random.randint(0, 3)
        return {draw_value(random, key): draw_value(random, value) for _ in range(count)}
    if kind == BOOL:
        return random.random() < 0.5
    return random.choice(INT_CHOICES if kind == INT else STRING_CHOICES)


def draw_input(random: Random) -> RuleInput:
    """Draw a basket and its context; many fields keep their defaults."""
    basket = core.Basket(
        transaction=core.TransactionRef(
            store_id=random.choice(STRING_CHOICES),
            sequence_number=random.choice((0, 1, 2**53 - 1)),
            lane_kind=random.choice(list(core.LaneKind)),
        ),
        transaction_type=random.choice(list(core.TransactionType)),
        currency_code=random.choice(("", "USD")),
        currency_exponent=random.choice((None, 0, 2)),
        lines=tuple(_line(random, number) for number in range(1, random.randint(1, 4))),
        coupons=tuple(
            core.PresentedCoupon(coupon_ref=str(number), data=random.choice(STRING_CHOICES))
            for number in range(random.randint(0, 2))
        ),
        tenders=(core.Tender(line_number=1, tender_type=core.TenderType.CASH),)
        * random.randint(0, 1),
        age_verification=core.AgeVerification(
            minimum_age_verified_years=random.choice((0, 18, 21)),
            method=random.choice(list(core.AgeCheckMethod)),
        ),
        attributes=_attributes(random),
    )
    context = RuleContext(
        store_local_date=20261123,
        store_local_minute_of_day=random.choice((0, 600, 1439)),
        weekday=random.randint(1, 7),
        targeting=tuple(sorted(random.sample(STRING_CHOICES, random.randint(0, 2)))),
        artifact_age_days={name: random.choice((0, 7)) for name in random.sample("ab", 1)},
        total_minor=random.choice(INT_CHOICES),
        line_count=len(basket.lines),
    )
    return RuleInput(basket=basket, context=context)


def _line(random: Random, number: int) -> core.LineItem:
    return core.LineItem(
        line_number=number,
        item_id=random.choice(STRING_CHOICES),
        department_id=random.choice(STRING_CHOICES),
        quantity_milli=random.choice((0, 420, 1000, -1000)),
        regular_unit_price_minor=random.choice((0, 100)),
        actual_unit_price_minor=random.choice((0, 50, 100)),
        extended_minor=random.choice(INT_CHOICES),
        entry_method=random.choice(list(core.EntryMethod)),
        voided=random.random() < 0.3,
        price_overridden=random.random() < 0.3,
        minimum_age_years=random.choice((0, 18)),
        discounts=(core.AppliedDiscount(kind=core.DiscountKind.COUPON, amount_minor=5),)
        * random.randint(0, 1),
        attributes=_attributes(random),
    )


def _attributes(random: Random) -> tuple[core.NamedValue, ...]:
    named = (
        core.NamedValue(name="a", kind="int_value", int_value=random.choice(INT_CHOICES)),
        core.NamedValue(name="b", kind="bool_value", bool_value=random.random() < 0.5),
        core.NamedValue(name="ab", kind="string_value", string_value=random.choice(STRING_CHOICES)),
    )
    return tuple(random.sample(named, random.randint(0, 2)))


def to_proto(value: RuleInput, schema: Schema) -> rules_pb2.RuleInput:
    """Return the protobuf message with the same content, as far as rules read it."""
    found = rules_pb2.RuleInput()
    _copy(value.basket, found.basket, "Basket", schema)
    _copy(value.context, found.context, "RuleContext", schema)
    return found


def _copy(value: Any, target: Message, name: str, schema: Schema) -> None:
    for field_name, field in schema[name].items():
        item = getattr(value, field_name)
        inner = getattr(target, field_name)
        if field.type.kind == "message":
            inner.SetInParent()
            _copy(item, inner, field.type.message, schema)
        elif field.type.kind == "map":
            inner.update(item)
        elif field.type.kind == "list":
            of = field.type.parameters[0]
            for element in item:
                if of.kind == "message":
                    _copy(element, inner.add(), of.message, schema)
                else:
                    inner.append(element)
        elif item is not None and (name != "NamedValue" or field_name in ("name", value.kind)):
            setattr(target, field_name, item)
