"""What holds for every basket and every bundle of promotions."""

import random
from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import Basket, LineItem
from terminal_client.core.decision import OfferStatus
from terminal_client.core.promotion_model import read_promotions
from tests.rules.promotions.making import (
    DOCUMENTS,
    HOSTILE_LINES,
    INT64,
    SHELF_LINES,
    baskets,
    booked,
    discounts,
    evaluate,
    line,
    outcome_of,
    total,
)

PROMOTION_LIMITED = "PROMOTION_LIMITED"
AMPLE = 10**7


@given(DOCUMENTS, st.lists(SHELF_LINES, max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_lines_and_promotions_changes_nothing(
    documents: list[Any], lines: list[LineItem], shuffle: random.Random
) -> None:
    promotions = list(read_promotions(documents))
    first = evaluate(promotions, Basket(lines=tuple(lines)))[0]
    shuffle.shuffle(lines)
    shuffle.shuffle(promotions)
    assert evaluate(promotions, Basket(lines=tuple(lines)))[0] == first


@given(DOCUMENTS, baskets(SHELF_LINES))
def test_sums_are_exact_and_no_line_goes_below_zero(documents: list[Any], basket: Basket) -> None:
    promotions = read_promotions(documents)
    before = LineBalances.of(basket, {promotion.offer_id for promotion in promotions})
    outcome, after = evaluate(promotions, basket)
    taken = dict.fromkeys(before.lines, 0)
    for offer in outcome.offers:
        numbers = [share.line_number for share in offer.allocations]
        assert numbers == sorted(set(numbers))
        assert offer.discount_minor == sum(share.discount_minor for share in offer.allocations)
        assert (offer.discount_minor > 0) == (offer.status is OfferStatus.APPLIED)
        for share in offer.allocations:
            assert share.discount_minor > 0
            taken[share.line_number] += share.discount_minor
    for number, amount in taken.items():
        assert after.balance(number) == before.balance(number) - amount >= 0


@given(DOCUMENTS, st.lists(HOSTILE_LINES, max_size=10), st.integers(-1, 400))
def test_every_basket_gets_an_answer_within_its_nodes(
    documents: list[Any], lines: list[LineItem], budget: int
) -> None:
    promotions = read_promotions(documents)
    outcome, _ = evaluate(promotions, Basket(lines=tuple(lines)), budget)
    assert 0 <= outcome.nodes_used <= max(0, budget)
    assert all(0 <= offer.discount_minor <= INT64 for offer in outcome.offers)
    assert len({offer.offer_id for offer in outcome.offers}) == len(outcome.offers)


@given(DOCUMENTS, baskets(SHELF_LINES))
def test_a_booked_answer_comes_out_the_same_at_the_next_revision(
    documents: list[Any], basket: Basket
) -> None:
    promotions = read_promotions(documents)
    basket = undiscounted(basket)
    outcome, _ = evaluate(promotions, basket)
    again, _ = evaluate(promotions, booked(basket, outcome))
    assert again == outcome


@given(DOCUMENTS, baskets(SHELF_LINES, most=8), st.data())
def test_fewer_nodes_are_told_and_never_take_a_different_best(
    documents: list[Any], basket: Basket, data: st.DataObject
) -> None:
    promotions = read_promotions(documents)
    full, _ = evaluate(promotions, basket, AMPLE)
    assert PROMOTION_LIMITED not in [reason.code for reason in full.reasons]
    # The engine holds back half of what is left for later phases.
    budget = data.draw(st.integers(0, 2 * full.nodes_used + 2))
    fewer, _ = evaluate(promotions, basket, budget)
    if PROMOTION_LIMITED not in [reason.code for reason in fewer.reasons]:
        assert fewer == full


def undiscounted(basket: Basket) -> Basket:
    """Return the basket without booked offers, whose owners differ from bundle to bundle."""
    return Basket(lines=tuple(one for one in basket.lines if not one.discounts))


def grouped(documents: list[Any], scope: str) -> list[Any]:
    exclusive = {"group": "g", "resolve": "best_deal", "scope": scope}
    return [one | {"exclusive": exclusive, "stackable": False} for one in documents]


def in_order(documents: tuple[Any, ...]) -> list[Any]:
    plain = [{k: v for k, v in one.items() if k != "exclusive"} for one in documents]
    return [one | {"stackable": False, "priority": n} for n, one in enumerate(plain)]


@settings(max_examples=60)
@given(DOCUMENTS.map(lambda found: found[:3]), baskets(SHELF_LINES, most=5), st.integers(0, 60))
def test_the_best_deal_is_the_best_of_all_orders_and_greedy_is_never_better(
    documents: list[Any], basket: Basket, few: int
) -> None:
    """Every order of every choice is tried by priorities alone, which need no search."""
    basket = undiscounted(basket)
    best = max(
        total(outcome_of(in_order(chosen), *basket.lines))
        for count in range(len(documents) + 1)
        for chosen in permutations(documents, count)
    )
    by_unit = read_promotions(grouped(documents, "unit"))
    assert total(evaluate(by_unit, basket, AMPLE)[0]) == best
    assert total(evaluate(by_unit, basket, few)[0]) <= best


@settings(max_examples=60)
@given(DOCUMENTS.map(lambda found: found[:4]), baskets(SHELF_LINES, most=5))
def test_one_of_a_group_is_the_best_one_alone(documents: list[Any], basket: Basket) -> None:
    basket = undiscounted(basket)
    best = max((total(outcome_of(in_order((one,)), *basket.lines)) for one in documents), default=0)
    outcome, _ = evaluate(read_promotions(grouped(documents, "basket")), basket, AMPLE)
    assert len(discounts(outcome)) <= 1
    assert total(outcome) == best


def test_two_thousand_hostile_lines_are_answered_within_the_nodes() -> None:
    generator = random.Random(1)
    lines = [
        line(n, generator.choice("abcdef"), generator.choice([0, 1, 999, 10**12]), quantity)
        for n, quantity in enumerate(generator.choices([1000, 0, -1000, 10**9], k=2000), 1)
    ]
    documents = [
        {
            "id": f"P{n}",
            "kind": "bogo",
            "items": {"all": True},
            "choice": "dearest",
            "exclusive": {"group": "g", "resolve": "best_deal", "scope": "unit"},
        }
        for n in range(50)
    ]
    promotions = read_promotions(documents)
    outcome, _ = evaluate(promotions, Basket(lines=tuple(lines)))
    assert outcome.nodes_used <= 10_000
    assert [reason.code for reason in outcome.reasons] == [PROMOTION_LIMITED]
    assert total(outcome) > 0


def test_the_search_gives_up_within_its_nodes_and_keeps_the_greedy_answer() -> None:
    documents = [
        {
            "id": f"P{n}",
            "kind": "mix_and_match",
            "parts": [{"items": {"items": ["a", "b"]}, "quantity_milli": 1000 * (n + 2)}],
            "reward": {"percent_bp": 1000 + 500 * n},
            "exclusive": {"group": "g", "resolve": "best_deal", "scope": "unit"},
        }
        for n in range(7)
    ]
    lines = [line(n, "ab"[n % 2], 90 + n, 7000) for n in range(1, 9)]
    full = outcome_of(documents, *lines, node_budget=AMPLE)
    assert [reason.code for reason in full.reasons] == []
    totals = []
    for budget in range(0, 400, 3):
        limited = outcome_of(documents, *lines, node_budget=budget)
        assert [reason.code for reason in limited.reasons] == [PROMOTION_LIMITED]
        totals.append(total(limited))
    assert totals[0] == 0 < totals[-1] <= max(totals) <= total(full)
