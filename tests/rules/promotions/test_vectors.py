"""The published promotion vectors, run against the core."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from posgate.v1 import basket_pb2
from terminal_client.codec import basket_from_pb
from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import Basket
from terminal_client.core.decision import OfferResult
from terminal_client.core.promotion_engine import DEFAULT_NODE_BUDGET, evaluate_promotions
from terminal_client.core.promotion_model import read_promotions
from terminal_client.core.rule_input import RuleContext
from terminal_client.core.store_time import StoreZone

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "rules"
KEYS = {"name", "promotions", "basket", "evaluation_time", "utc_offset_s", "targeting", "expected"}
MAY = {"why", "node_budget"}


def cases() -> list[Any]:
    found = []
    for path in sorted(VECTORS.glob("promotions-*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        assert document.keys() == {"format", "cases"}
        assert document["format"] == 1
        found += document["cases"]
    return found


def basket_of(case: Any) -> Basket:
    return basket_from_pb(json_format.ParseDict(case["basket"], basket_pb2.Basket()))


def context_of(case: Any, basket: Basket) -> RuleContext:
    zone = StoreZone(name="vector", starts_s=(0,), offsets_s=(case["utc_offset_s"],))
    local = zone.local(datetime.fromisoformat(case["evaluation_time"]).astimezone(UTC))
    counted = [line for line in basket.lines if not line.voided]
    return RuleContext(
        store_local_date=local.date,
        store_local_minute_of_day=local.minute_of_day,
        weekday=local.weekday,
        targeting=tuple(case["targeting"]),
        total_minor=sum(line.extended_minor for line in counted),
        line_count=len(counted),
    )


def told(offer: OfferResult) -> dict[str, object]:
    return {
        "offer_id": offer.offer_id,
        "status": offer.status.name,
        "discount_minor": offer.discount_minor,
        "allocations": [
            {"line_number": share.line_number, "discount_minor": share.discount_minor}
            for share in offer.allocations
        ],
        "reasons": [reason.code for reason in offer.reasons],
    }


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_a_published_case_comes_out_as_written(case: Any) -> None:
    promotions = read_promotions(case["promotions"])
    basket = basket_of(case)
    balances = LineBalances.of(basket, {promotion.offer_id for promotion in promotions})
    outcome = evaluate_promotions(
        promotions,
        basket,
        context_of(case, basket),
        balances,
        case.get("node_budget", DEFAULT_NODE_BUDGET),
    )
    expected = case["expected"]
    assert [told(offer) for offer in outcome.offers] == expected["offers"]
    assert [reason.code for reason in outcome.reasons] == expected["reasons"]


def test_the_vectors_are_well_formed_and_named_once() -> None:
    names = [case["name"] for case in cases()]
    assert len(names) == len(set(names)) >= 60
    for case in cases():
        assert case.keys() >= KEYS
        assert case.keys() <= KEYS | MAY
        assert case["basket"]["evaluationTime"] == case["evaluation_time"]
        assert bool(case["targeting"]) == ("loyaltyToken" in case["basket"])
