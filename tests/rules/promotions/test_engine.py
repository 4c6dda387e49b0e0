"""What an answer tells beside the discounts, and how work is bounded."""

import random
from dataclasses import replace
from typing import Any

import pytest

from terminal_client.core.basket import AppliedDiscount, Basket, NamedValue, TransactionType
from terminal_client.core.decision import OfferStatus
from terminal_client.core.promotion_engine import DEFAULT_NODE_BUDGET
from terminal_client.core.promotion_model import read_promotions
from terminal_client.core.promotion_nodes import Nodes, NodesSpentError
from tests.rules.promotions.making import discounts, evaluate, line, outcome_of, percent


def buy_two(offer_id: str, items: str = "a") -> Any:
    return {
        "id": offer_id,
        "kind": "mix_and_match",
        "parts": [{"items": {"items": list(items)}, "quantity_milli": 2000}],
        "reward": {"percent_bp": 1000},
    }


def test_what_is_missing_is_told_in_its_unit() -> None:
    spend = {
        "id": "T",
        "kind": "threshold",
        "items": {"all": True},
        "spend_minor": 500,
        "reward": {"percent_bp": 1000},
    }
    other = {
        "id": "O",
        "kind": "buy_get",
        "buy": {"items": {"items": ["a"]}, "quantity_milli": 1000},
        "get": {"items": {"items": ["b"]}, "quantity_milli": 3000},
        "reward": {"percent_bp": 1000},
    }
    outcome = outcome_of([spend, buy_two("S"), other], line(1, extended=120))
    details = {offer.offer_id: offer.reasons[0].detail for offer in outcome.offers}
    assert details == {
        "S": "1000 thousandths short",
        "O": "3000 thousandths short",
        "T": "380 minor units short",
    }


def test_an_answer_tells_of_sixteen_unapplied_offers_the_booked_first() -> None:
    documents = [buy_two(f"P{n:02}") for n in range(40)]
    booked = (AppliedDiscount(amount_minor=1, offer_id="P39"),)
    basket = Basket(lines=(replace(line(1), discounts=booked),))
    outcome, _ = evaluate(read_promotions(documents), basket)
    assert [offer.offer_id for offer in outcome.offers] == ["P39"] + [f"P{n:02}" for n in range(15)]
    assert {offer.status for offer in outcome.offers} == {OfferStatus.NOT_ELIGIBLE}


def test_offers_come_by_phase_then_priority_then_id() -> None:
    documents = [
        percent("basket-first", "c") | {"phase": "basket", "priority": 0},
        percent("late", "a") | {"priority": 2},
        percent("b", "b") | {"priority": 1},
        percent("a", "d") | {"priority": 1},
    ]
    lines = [line(n, item) for n, item in enumerate("abcd", 1)]
    assert list(discounts(outcome_of(documents, *lines))) == ["a", "b", "late", "basket-first"]


@pytest.mark.parametrize(
    "kind", [TransactionType.RETURN, TransactionType.NO_SALE, TransactionType.VOID]
)
def test_only_sales_have_promotions(kind: TransactionType) -> None:
    basket = Basket(transaction_type=kind, lines=(line(1), line(1)))
    outcome, _ = evaluate(read_promotions([percent("P")]), basket)
    assert [(reason.code, reason.detail) for reason in outcome.reasons] == [
        ("LINE_NUMBER_DUPLICATE", ""),
        ("PROMOTION_NO_SALE", kind.name),
    ]
    assert (outcome.offers, outcome.nodes_used) == ((), 0)


def test_what_promotions_take_is_gone_from_the_balances() -> None:
    outcome, balances = evaluate(
        read_promotions([percent("P")]), Basket(lines=(line(1), line(2, "b")))
    )
    assert discounts(outcome) == {"P": 10}
    assert (balances.balance(1), balances.balance(2)) == (90, 100)


def test_a_booked_offer_that_the_nodes_did_not_reach_is_told_as_limited() -> None:
    booked = (AppliedDiscount(amount_minor=1, offer_id="P"),)
    basket = Basket(lines=(replace(line(1), discounts=booked),))
    outcome, _ = evaluate(read_promotions([percent("P")]), basket, 1)
    assert [reason.code for reason in outcome.offers[0].reasons] == ["PROMOTION_LIMITED"]
    assert [reason.code for reason in outcome.reasons] == ["PROMOTION_LIMITED"]


def test_promotions_on_other_lines_still_apply_when_one_cluster_runs_out() -> None:
    """Looking takes 3 nodes each and may use half; booking takes 1 each of what is left."""
    documents = [percent("X"), percent("Y", "b")]
    lines = (line(1), line(2, "b"))
    answers = [discounts(outcome_of(documents, *lines, node_budget=n)) for n in range(20)]
    assert answers[0] == {}
    assert {"X": 10} in answers
    assert answers[-1] == {"X": 10, "Y": 10}


def test_an_attribute_is_found_wherever_it_stands() -> None:
    values = (NamedValue(name="size", int_value=1), NamedValue(name="brand", string_value="x"))
    kinds = (values[0], replace(values[1], kind="string_value"))
    document = percent("P") | {"items": {"attributes": {"brand": "x"}}}
    found = replace(line(1), attributes=kinds)
    other = replace(line(2), attributes=(kinds[0],))
    outcome = outcome_of([document], found, other)
    assert [share.line_number for share in outcome.offers[0].allocations] == [1]


def test_nodes_are_never_overspent() -> None:
    nodes = Nodes(10)
    part = nodes.half()
    part.spend(3)
    with pytest.raises(NodesSpentError):
        part.spend(3)
    nodes.join(part)
    assert (nodes.used, nodes.left) == (5, 5)
    assert Nodes(-1).left == 0


def test_a_large_basket_and_fifty_promotions_stay_far_from_the_limit() -> None:
    generator = random.Random(3)
    items = [f"item-{n}" for n in range(2000)]
    shapes: list[Any] = [
        {"kind": "percent", "percent_bp": 1000},
        {"kind": "amount", "amount_minor": 30},
        {"kind": "fixed_price", "price_minor": 199},
        {"kind": "bogo"},
        {"kind": "bogo", "choice": "dearest", "reward": {"percent_bp": 5000}},
        {"kind": "threshold", "spend_minor": 2000, "reward": {"amount_minor": 100}},
    ]
    documents = [
        shapes[n % 6] | {"id": f"P{n:02}", "items": {"items": generator.sample(items, 20)}}
        for n in range(48)
    ]
    for n, amount in enumerate((5_000, 10_000)):
        tier = {"group": "tiers", "resolve": "best_deal"}
        spend = {"spend_minor": amount, "reward": {"amount_minor": amount // 10}}
        shape = {"id": f"T{n}", "kind": "threshold", "items": {"all": True}, "exclusive": tier}
        documents.append(shape | spend)
    lines = [
        line(n, generator.choice(items), generator.randint(50, 1500), 1000 * (1 + n % 3))
        for n in range(1, 161)
    ]
    outcome = outcome_of(documents, *lines)
    assert outcome.reasons == ()
    assert len(discounts(outcome)) > 20
    assert outcome.nodes_used < DEFAULT_NODE_BUDGET // 3
