"""What holds for every basket: sums are exact, nothing goes below zero, order is no matter."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import Basket, CouponSymbology, LineItem, PresentedCoupon
from terminal_client.core.coupon_engine import CouponOutcome, evaluate_coupons
from terminal_client.core.coupons import CouponBook, read_coupons
from terminal_client.core.decision import OfferStatus
from terminal_client.core.redemptions import RedemptionView
from terminal_client.core.rule_input import RuleContext
from tests.rules.coupons import vector_cases_gs1, vector_cases_store, vector_cases_unverified
from tests.rules.coupons.vector_notation import (
    BREAD,
    COFFEE,
    LOOSE_TEA,
    MILK,
    PEN,
    SOAP,
    SOUP,
    TEA,
    nacc,
    positive,
    second,
    third,
)

AT = datetime(2026, 3, 15, 16, tzinfo=UTC)
CONTEXT = RuleContext(store_local_date=20260315, store_local_minute_of_day=720, weekday=7)
ACCEPTED = (OfferStatus.APPLIED, OfferStatus.ACCEPTED_UNVERIFIED)


def merged() -> CouponBook:
    """All the vectors' documents in one book."""
    parts: list[dict[str, Any]] = [
        vector_cases_store.DOCUMENT,
        vector_cases_gs1.DOCUMENT,
        vector_cases_unverified.DOCUMENT,
    ]
    document: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            document[key] = document.get(key, []) + value if isinstance(value, list) else value
    return read_coupons(document)


BOOK = merged()
KNOWN = {
    CouponSymbology.STORE: sorted({code for kind, code in BOOK.coupons if kind.name == "STORE"}),
    CouponSymbology.GS1_255_GCN: [vector_cases_gs1.GCN, f"{vector_cases_gs1.GCN}77"],
    CouponSymbology.GS1_8112: [positive(), positive("123456"), positive(offer="999999")],
    CouponSymbology.GS1_8110: [
        nacc("50"),
        nacc("75", more="50123456"),
        nacc("100", more=second("0", "2", "850") + "90100"),
        nacc("100", more=second("1", "1", "850") + "90100"),
        nacc("100", more=second("2", "1", "850") + third("1", "130") + "90100"),
        nacc("100", need="3", more=second("3", "1", "850")),
        nacc("2", need="3", more="92000"),
        nacc("20", need="500", code="1", more="95000"),
        nacc("300", need="1000", code="2", more="96000"),
        nacc("200", need="250", code="3", family="130"),
    ],
}
items = st.sampled_from([MILK, BREAD, SOAP, SOUP, PEN, TEA, COFFEE, LOOSE_TEA])
quantities = st.one_of(
    st.integers(0, 5).map(lambda count: count * 1000), st.integers(-3000, 9000), st.just(10**9)
)
lines = st.lists(
    st.builds(
        LineItem,
        line_number=st.integers(1, 12),
        item_id=items,
        quantity_milli=quantities,
        unit_code=st.sampled_from(["", "EA", "LBR", "KGM"]),
        extended_minor=st.one_of(st.integers(-100, 2000), st.just(10**12)),
        voided=st.booleans(),
        voids_line_number=st.sampled_from([0, 0, 0, 1, 2]),
    ),
    max_size=10,
)
presented = st.sampled_from(
    [(symbology, data) for symbology, known in KNOWN.items() for data in known]
)
coupons = st.lists(st.one_of(presented, st.tuples(st.sampled_from(CouponSymbology), st.text())))
views = st.builds(
    RedemptionView,
    as_of=st.sampled_from([None, AT, datetime(2020, 1, 1, tzinfo=UTC)]),
)


def handed_over(pairs: list[tuple[CouponSymbology, str]]) -> tuple[PresentedCoupon, ...]:
    return tuple(
        PresentedCoupon(coupon_ref=f"r{number:03}", symbology=symbology, data=data)
        for number, (symbology, data) in enumerate(pairs)
    )


def evaluate(
    basket: Basket, view: RedemptionView, balances: LineBalances | None = None
) -> CouponOutcome:
    own = balances or LineBalances.of(basket, BOOK.offer_ids)
    return evaluate_coupons(BOOK, basket, CONTEXT, own, view, AT)


baskets = st.builds(
    Basket,
    lines=lines.map(tuple),
    coupons=coupons.map(handed_over),
    loyalty_token=st.sampled_from(["", "hh-1", "hh-9"]),
)


@given(baskets, views)
def test_discounts_are_exact_and_no_line_goes_below_zero(
    basket: Basket, view: RedemptionView
) -> None:
    before = LineBalances.of(basket, BOOK.offer_ids)
    after = LineBalances.of(basket, BOOK.offer_ids)
    outcome = evaluate(basket, view, after)
    taken: Counter[int] = Counter()
    for offer in outcome.offers:
        shares = [allocation.discount_minor for allocation in offer.allocations]
        numbers = [allocation.line_number for allocation in offer.allocations]
        assert offer.discount_minor == sum(shares)
        assert all(share > 0 for share in shares)
        assert numbers == sorted(set(numbers))
        assert bool(shares) <= (offer.status in ACCEPTED)
        taken.update(dict(zip(numbers, shares, strict=True)))
    for number in before.lines:
        assert after.balance(number) == before.balance(number) - taken.pop(number, 0) >= 0
    assert not taken


@given(baskets, views)
def test_every_coupon_is_answered_in_order_and_every_refusal_explained(
    basket: Basket, view: RedemptionView
) -> None:
    offers = evaluate(basket, view).offers
    answers = [offer for offer in offers if offer.offer_id != "coupon_match"]
    assert [offer.coupon_ref for offer in answers] == [c.coupon_ref for c in basket.coupons]
    for offer in offers:
        assert offer.status is OfferStatus.APPLIED or offer.reasons
        assert not offer.redemption_key or offer.status in ACCEPTED


@given(baskets, views)
def test_a_key_is_given_once_and_never_when_redeemed(basket: Basket, view: RedemptionView) -> None:
    first = evaluate(basket, view)
    keys = [offer.redemption_key for offer in first.offers if offer.redemption_key]
    assert len(keys) == len(set(keys))
    again = evaluate(basket, replace(view, keys=frozenset(keys)))
    assert not {offer.redemption_key for offer in again.offers} & set(keys)


@given(baskets, views, st.randoms(use_true_random=False))
def test_the_order_of_lines_and_coupons_is_no_matter(
    basket: Basket, view: RedemptionView, random: Any
) -> None:
    shuffled_lines, shuffled_coupons = list(basket.lines), list(basket.coupons)
    random.shuffle(shuffled_lines)
    random.shuffle(shuffled_coupons)
    shuffled = replace(basket, lines=tuple(shuffled_lines), coupons=tuple(shuffled_coupons))
    assert evaluate(shuffled, view) == evaluate(basket, view)


@given(baskets, views)
def test_evaluating_twice_gives_the_same_answer(basket: Basket, view: RedemptionView) -> None:
    assert evaluate(basket, view) == evaluate(basket, view)


@given(st.integers(0, 10**9), st.integers(0, 200), st.integers(0, 200))
def test_a_match_never_exceeds_the_face_or_the_total(face: int, full: int, total: int) -> None:
    doubling = BOOK.doubling
    assert doubling is not None
    rule = replace(doubling, full_up_to_minor=full, up_to_total_minor=total)
    match = rule.match_minor(face)
    assert 0 <= match <= max(face, total - face, 0)


def test_a_face_at_the_full_limit_is_matched_in_full() -> None:
    doubling = BOOK.doubling
    assert doubling is not None
    assert replace(doubling, full_up_to_minor=50, up_to_total_minor=80).match_minor(50) == 50


def test_the_largest_basket_is_answered() -> None:
    many = tuple(
        LineItem(line_number=number, item_id=SOUP, quantity_milli=1000, extended_minor=300)
        for number in range(1, 2001)
    )
    basket = Basket(lines=many, coupons=handed_over([(CouponSymbology.STORE, "face50")] * 200))
    outcome = evaluate(basket, RedemptionView())
    assert [offer.discount_minor for offer in outcome.offers] == [50] * 400


def test_without_a_time_of_record_nothing_is_taken_unverified() -> None:
    basket = Basket(
        lines=(LineItem(line_number=1, item_id=SOUP, extended_minor=300),),
        coupons=handed_over([(CouponSymbology.GS1_8112, positive())]),
    )
    view = RedemptionView(as_of=AT)
    own = LineBalances.of(basket, BOOK.offer_ids)
    (timeless,) = evaluate_coupons(BOOK, basket, CONTEXT, own, view).offers
    assert timeless.reasons[0].code == "COUPON_LIMIT_REACHED"
    timed = replace(basket, terminal_time=AT)
    (offer,) = evaluate_coupons(BOOK, timed, CONTEXT, own, view).offers
    assert offer.status is OfferStatus.ACCEPTED_UNVERIFIED
