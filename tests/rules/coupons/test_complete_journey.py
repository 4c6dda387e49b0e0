"""The engine against what really happened: 2,102 redemptions and 21,889 coupon lines of 2017.

Every recorded redemption did take place, so it joins the redemption view whatever the engine
says of it. No basket is named: each is judged against all that its household bought that day.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date

import pytest

from examples.complete_journey.coupons import (
    Redemption,
    read_campaigns,
    read_coupon_lines,
    read_redemptions,
)
from examples.complete_journey.rules_source import coupon_document, yyyymmdd
from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import Basket, CouponSymbology, LineItem, PresentedCoupon
from terminal_client.core.coupon_engine import evaluate_coupons
from terminal_client.core.coupon_terms import Doubling
from terminal_client.core.coupons import CouponBook, read_coupons
from terminal_client.core.decision import OfferResult, OfferStatus
from terminal_client.core.redemptions import RedemptionView, redemption_key
from terminal_client.core.rule_input import RuleContext


@pytest.fixture(scope="module")
def packed() -> str:
    return json.dumps(coupon_document(), separators=(",", ":"))


@pytest.fixture(scope="module")
def book(packed: str) -> CouponBook:
    return read_coupons(json.loads(packed))


def judge(book: CouponBook, real: Redemption, redeemed: frozenset[str] | set[str]) -> OfferResult:
    lines = tuple(
        LineItem(
            line_number=number,
            item_id=str(product),
            quantity_milli=1000 * quantity,
            extended_minor=net_minor,
        )
        for number, (product, quantity, net_minor, *_) in enumerate(real.lines, start=1)
    )
    presented = PresentedCoupon(
        coupon_ref="c1",
        symbology=CouponSymbology.STORE,
        data=f"{real.campaign}:{real.coupon}",
    )
    basket = Basket(loyalty_token=real.household, lines=lines, coupons=(presented,))
    context = RuleContext(
        store_local_date=yyyymmdd(real.date),
        store_local_minute_of_day=600,
        weekday=date.fromisoformat(real.date).isoweekday(),
    )
    balances = LineBalances.of(basket, book.offer_ids)
    outcome = evaluate_coupons(book, basket, context, balances, RedemptionView(keys=redeemed))
    (offer,) = outcome.offers
    return offer


def test_every_real_redemption_is_judged_as_the_record_says(book: CouponBook) -> None:
    redeemed: set[str] = set()
    counts: Counter[str] = Counter()
    for real in read_redemptions():
        offer = judge(book, real, redeemed)
        key = redemption_key(real.campaign, real.coupon, real.household)
        if offer.status is OfferStatus.APPLIED:
            assert offer.redemption_key == key
            counts["OK"] += 1
        else:
            counts[offer.reasons[0].code] += 1
        redeemed.add(key)
    assert counts == {"OK": 1815, "COUPON_NO_QUALIFYING_ITEM": 263, "COUPON_ALREADY_REDEEMED": 24}


def test_no_real_redemption_holds_outside_its_window(book: CouponBook) -> None:
    windows = {
        campaign["campaign_id"]: (int(campaign["start_date"][:4]), campaign["end_date"])
        for campaign in read_campaigns()["campaigns"]
    }
    for real in read_redemptions():
        year, last = windows[real.campaign]
        for moved, code in (
            (f"{year - 1}{real.date[4:]}", "COUPON_NOT_STARTED"),
            (f"{int(last[:4]) + 1}-06-15", "COUPON_EXPIRED"),
        ):
            # The window is looked at before the items: without lines this is quick.
            other = Redemption(real.household, real.coupon, real.campaign, moved, ())
            assert judge(book, other, frozenset()).reasons[0].code == code


def test_the_doubling_rule_gives_the_real_matches() -> None:
    doubling = Doubling(offer_id="match", full_up_to_minor=50, up_to_total_minor=100)
    lines = read_coupon_lines()
    single = sum(doubling.match_minor(face) == match for face, match, _ in lines)
    several = sum(
        any(
            face % count == 0 and count * doubling.match_minor(face // count) == match
            for count in range(1, max(1, quantity) + 1)
        )
        for face, match, quantity in lines
    )
    assert (len(lines), single, several) == (21_889, 20_449, 21_122)
