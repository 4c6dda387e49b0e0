"""What the promotion tests are made of: promotions as documents, baskets, one evaluation."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import AppliedDiscount, Basket, DiscountKind, LineItem
from terminal_client.core.decision import OfferStatus
from terminal_client.core.promotion_engine import (
    DEFAULT_NODE_BUDGET,
    PromotionOutcome,
    evaluate_promotions,
)
from terminal_client.core.promotion_model import Promotion, read_promotions
from terminal_client.core.rule_input import RuleContext

MONDAY_TEN = RuleContext(
    store_local_date=20261123, store_local_minute_of_day=600, weekday=1, targeting=("gold",)
)
INT64 = 2**63 - 1
ITEMS = "abcdef"


def line(number: int, item: str = "a", extended: int = 100, quantity: int = 1000) -> LineItem:
    return LineItem(
        line_number=number, item_id=item, extended_minor=extended, quantity_milli=quantity
    )


def percent(offer_id: str, items: str = "a", basis_points: int = 1000, **more: Any) -> Any:
    selector = {"items": list(items)}
    return {"id": offer_id, "kind": "percent", "items": selector, "percent_bp": basis_points} | more


def evaluate(
    promotions: Sequence[Promotion],
    basket: Basket,
    node_budget: int = DEFAULT_NODE_BUDGET,
    context: RuleContext = MONDAY_TEN,
) -> tuple[PromotionOutcome, LineBalances]:
    balances = LineBalances.of(basket, {promotion.offer_id for promotion in promotions})
    return evaluate_promotions(promotions, basket, context, balances, node_budget), balances


def outcome_of(documents: Iterable[Any], *lines: LineItem, **more: Any) -> PromotionOutcome:
    return evaluate(read_promotions(list(documents)), Basket(lines=lines), **more)[0]


def discounts(outcome: PromotionOutcome) -> dict[str, int]:
    return {o.offer_id: o.discount_minor for o in outcome.offers if applied(o.status)}


def applied(status: OfferStatus) -> bool:
    return status is OfferStatus.APPLIED


def total(outcome: PromotionOutcome) -> int:
    return sum(offer.discount_minor for offer in outcome.offers)


def booked(basket: Basket, outcome: PromotionOutcome) -> Basket:
    """Return the next revision: the POS has booked what the answer allocated."""
    lines = {line.line_number: line for line in basket.lines}
    for offer in outcome.offers:
        for share in offer.allocations:
            before = lines[share.line_number]
            discount = AppliedDiscount(
                kind=DiscountKind.PROMOTION,
                amount_minor=share.discount_minor,
                offer_id=offer.offer_id,
            )
            lines[share.line_number] = replace(
                before,
                extended_minor=before.extended_minor - share.discount_minor,
                discounts=(*before.discounts, discount),
            )
    return replace(basket, lines=tuple(lines.values()), basket_revision=basket.basket_revision + 1)


SELECTORS = st.one_of(
    st.sets(st.sampled_from(ITEMS), min_size=1, max_size=3).map(lambda s: {"items": sorted(s)}),
    st.just({"all": True}),
    st.just({"departments": ["d1"]}),
    st.just({"all": True, "except": {"items": ["a"]}, "linked": True}),
)
RATES = st.sampled_from([0, 1, 999, 1000, 3333, 5000, 10_000])
MONEY = st.sampled_from([0, 1, 33, 99, 100, 250, 10**12])
QUANTITIES = st.sampled_from([1, 500, 1000, 2000, 3000])
REWARDS = st.one_of(
    RATES.map(lambda rate: {"percent_bp": rate}),
    MONEY.map(lambda money: {"amount_minor": money}),
    MONEY.map(lambda money: {"price_minor": money}),
)
PARTS = st.fixed_dictionaries({"items": SELECTORS, "quantity_milli": QUANTITIES})
OFFERS = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("percent"), "items": SELECTORS, "percent_bp": RATES},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("amount"), "items": SELECTORS, "amount_minor": MONEY},
        optional={"unit_price_scale": st.just(1), "price_quantity_milli": QUANTITIES},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("fixed_price"), "items": SELECTORS, "price_minor": MONEY},
        optional={"price_quantity_milli": QUANTITIES},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("bogo"), "items": SELECTORS},
        optional={"reward": REWARDS, "choice": st.sampled_from(["cheapest", "dearest"])},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("buy_get"), "buy": PARTS, "get": PARTS, "reward": REWARDS},
        optional={"choice": st.sampled_from(["cheapest", "dearest"])},
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("mix_and_match"),
            "parts": st.lists(PARTS, min_size=1, max_size=3),
            "reward": REWARDS,
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("threshold"),
            "items": SELECTORS,
            "spend_minor": st.sampled_from([1, 100, 500]),
            "reward": REWARDS.filter(lambda reward: "price_minor" not in reward),
        },
        optional={"reward_items": SELECTORS},
    ),
)
GROUPS = st.sampled_from(
    [
        {"group": "one-best", "resolve": "best_deal"},
        {"group": "one-first", "resolve": "priority"},
        {"group": "unit-best", "resolve": "best_deal", "scope": "unit"},
        {"group": "unit-first", "resolve": "priority", "scope": "unit"},
    ]
)
TERMS = st.fixed_dictionaries(
    {"priority": st.integers(0, 2), "stackable": st.booleans()},
    optional={
        "exclusive": GROUPS,
        "max_discount_minor": st.sampled_from([0, 1, 50, 1000]),
        "max_applications": st.integers(0, 3),
        "segments": st.sampled_from([["gold"], ["other"]]),
        "windows": st.sampled_from([[{"weekdays": [1]}], [{"weekdays": [2]}]]),
    },
)


def _document(index: int, offer: Any, terms: Any) -> Any:
    merged = {"id": f"P{index}", "phase": "line"} | offer | terms
    if terms.get("exclusive", {}).get("scope") == "unit":
        merged["stackable"] = False
    return merged


DOCUMENTS = st.lists(st.tuples(OFFERS, TERMS), max_size=6).map(
    lambda pairs: [_document(index, *pair) for index, pair in enumerate(pairs)]
)


def lines(extended: st.SearchStrategy[int], quantity: st.SearchStrategy[int]) -> Any:
    """Return a strategy for lines; several may carry one number."""
    return st.builds(
        LineItem,
        line_number=st.integers(1, 12),
        item_id=st.sampled_from(ITEMS),
        department_id=st.sampled_from(["d1", "d2"]),
        quantity_milli=quantity,
        extended_minor=extended,
        voided=st.sampled_from([False, False, False, True]),
        voids_line_number=st.sampled_from([0, 0, 0, 0, 1]),
        linked_line_number=st.sampled_from([0, 0, 0, 1]),
        discounts=st.sampled_from(
            [(), (), (AppliedDiscount(amount_minor=5, offer_id="P1"),), (AppliedDiscount(),)]
        ),
    )


SHELF_LINES = lines(
    st.integers(0, 2000), st.sampled_from([1000, 1000, 2000, 3000, 420, 5000, 89_638_000])
)
HOSTILE_LINES = lines(
    st.one_of(st.integers(-(2**63), INT64), st.sampled_from([0, 1, 10**12, INT64])),
    st.one_of(st.integers(-(2**63), INT64), st.sampled_from([0, 1, -1000, 10**9, 89_638_000])),
)


def baskets(of: Any, most: int = 10) -> Any:
    """Return a strategy for baskets of such lines, numbers unique."""
    unique = st.lists(of, max_size=most, unique_by=lambda one: one.line_number)
    return unique.map(lambda found: Basket(lines=tuple(found)))
