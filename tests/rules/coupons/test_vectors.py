"""The coupon vectors: what every implementation of the engine must answer."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from google.protobuf import json_format

from posgate.v1 import basket_pb2
from terminal_client.codec.basket_reader import basket_from_pb
from terminal_client.core.balances import LineBalances
from terminal_client.core.coupon_engine import CouponOutcome, evaluate_coupons
from terminal_client.core.coupons import read_coupons
from terminal_client.core.decision import OfferResult
from terminal_client.core.redemptions import RedemptionView
from terminal_client.core.rule_input import RuleContext
from tests.rules.coupons.write_vectors import FILES, FOLDER, text_of

CASES = [
    pytest.param(case, id=f"{name}: {case['name']}")
    for name in FILES
    for case in json.loads((FOLDER / name).read_text(encoding="utf-8"))["cases"]
]


def evaluate(case: dict[str, Any]) -> CouponOutcome:
    """Judge a case; the store's local date is the date as ``evaluation_time`` is written."""
    coupons = read_coupons(case["coupons"])
    basket = basket_from_pb(json_format.ParseDict(case["basket"], basket_pb2.Basket()))
    at = datetime.fromisoformat(case["evaluation_time"])
    age_s = case["view_age_s"]
    view = RedemptionView(
        keys=frozenset(case["redeemed"]),
        as_of=None if age_s is None else at - timedelta(seconds=age_s),
    )
    context = RuleContext(
        store_local_date=at.year * 10_000 + at.month * 100 + at.day,
        store_local_minute_of_day=at.hour * 60 + at.minute,
        weekday=at.isoweekday(),
    )
    balances = LineBalances.of(basket, coupons.offer_ids)
    return evaluate_coupons(coupons, basket, context, balances, view, at)


def written(offer: OfferResult) -> dict[str, Any]:
    return {
        "offer_id": offer.offer_id,
        "coupon_ref": offer.coupon_ref,
        "status": offer.status.name,
        "discount_minor": offer.discount_minor,
        "allocations": [[a.line_number, a.discount_minor] for a in offer.allocations],
        "reasons": [reason.code for reason in offer.reasons],
        "redemption_key": offer.redemption_key,
    }


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_answered_as_reasoned_by_hand(case: dict[str, Any]) -> None:
    outcome = evaluate(case)
    assert [written(offer) for offer in outcome.offers] == case["expected"]["offers"]
    said = [reason for offer in case["expected"]["offers"] for reason in offer["reasons"]]
    assert [reason.code for reason in outcome.reasons] == list(dict.fromkeys(said))


@pytest.mark.parametrize("name", FILES)
def test_the_committed_vectors_are_the_written_ones(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == text_of(FILES[name])


def test_no_two_cases_have_one_name() -> None:
    names = [(name, case["name"]) for name, cases in FILES.items() for case in cases]
    assert len(names) == len(set(names)) >= 60
