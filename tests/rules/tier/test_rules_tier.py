"""The rules answer every basket, the same way every time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal_client.core.basket import (
    AgeVerification,
    Basket,
    CouponSymbology,
    LineItem,
    NamedValue,
    PresentedCoupon,
)
from terminal_client.core.decision import (
    LaneAction,
    OfferStatus,
    Reason,
    Recommendation,
    Verdict,
    WorkflowResult,
    projection,
)
from terminal_client.core.policy import WorkflowKind
from terminal_client.core.redemptions import RedemptionView
from tests.codec.baskets import baskets
from tests.core.policies import policy_with
from tests.rules.tier.documents import AS_OF, bundle

BUNDLE = bundle()
EMPTY = RedemptionView()
NOON = datetime(2017, 11, 28, 17, tzinfo=UTC)
ALL = sorted(BUNDLE.policy.workflows)


def answer(workflow: str, *lines: LineItem, at: datetime = NOON, **more: object) -> WorkflowResult:
    basket = replace(Basket(lines=lines), **more)  # type: ignore[arg-type]
    return BUNDLE.decide(basket, [workflow], at, EMPTY)[0]


def line(number: int, item: str = "x", **more: object) -> LineItem:
    return replace(LineItem(line_number=number, item_id=item, extended_minor=100), **more)  # type: ignore[arg-type]


def test_prices_come_from_the_plan_then_the_majority() -> None:
    result = answer(
        "price_check", line(1, "planned"), line(2, "usual"), line(3, "new"), line(4, voided=True)
    )
    assert [(judged.line_number, judged.expected) for judged in result.lines] == [
        (1, True),
        (2, True),
        (3, False),
    ]
    later = answer("price_check", line(1, "planned"), at=NOON + timedelta(days=7))
    assert not later.lines[0].expected


def test_best_sellers_not_in_the_basket_are_recommended() -> None:
    result = answer("recommendation", line(1, "best"), line(2, "third", voided=True))
    assert result.recommendations == (
        Recommendation(item_id="second"),
        Recommendation(item_id="third"),
    )


def test_the_queue_is_the_profiles_of_the_hour() -> None:
    assert answer("queue_estimate").outputs == (NamedValue(name="waiting_s", int_value=100),)
    silent = bundle(tables={})
    assert silent.decide(None, ["queue_estimate"], NOON, EMPTY)[0].outputs == ()


@pytest.mark.parametrize(
    ("verified", "verdict"), [(0, Verdict.REVIEW), (20, Verdict.REVIEW), (21, Verdict.APPROVE)]
)
def test_age_is_checked_once_for_the_strictest_item(verified: int, verdict: Verdict) -> None:
    result = answer(
        "age_check",
        line(1, minimum_age_years=18),
        line(2, minimum_age_years=21),
        line(3, minimum_age_years=99, voided=True),
        line(4),
        age_verification=AgeVerification(minimum_age_verified_years=verified),
    )
    assert result.verdict is verdict
    if verdict is Verdict.REVIEW:
        assert [prompt.action for prompt in result.prompts] == [LaneAction.CHECK_ID]
        assert "21" in result.prompts[0].text
        assert result.reasons[-1] == Reason(code="AGE_CHECK_REQUIRED", line_number=2)


def test_rules_of_the_bundle_add_reasons_and_prompts() -> None:
    result = answer("basket_validation", line(7, quantity_milli=50_001), line(8))
    assert result.verdict is Verdict.REVIEW
    assert [(reason.code, reason.line_number) for reason in result.reasons] == [
        ("QUANTITY_UNUSUAL", 7)
    ]
    assert result.prompts[0].action is LaneAction.CHECK_ITEMS
    assert answer("basket_validation", line(1)).verdict is Verdict.APPROVE


def test_an_unreadable_coupon_asks_to_scan_again_and_nothing_else_does() -> None:
    coupon = PresentedCoupon(coupon_ref="c", symbology=CouponSymbology.GS1_8110, data="81101")
    result = answer("promotion_validation", line(1), coupons=(coupon,))
    assert result.verdict is Verdict.RETRY
    assert result.offers[0].status is OfferStatus.UNREADABLE
    assert result.prompts[0].action is LaneAction.RESCAN_COUPON


def test_policy_caps_the_verdict() -> None:
    capped = bundle(policy=policy_with("workflows.promotion_validation.highest_verdict", "review"))
    coupon = PresentedCoupon(coupon_ref="c", symbology=CouponSymbology.GS1_8110, data="81101")
    basket = Basket(lines=(line(1),), coupons=(coupon,))
    assert capped.decide(basket, ["promotion_validation"], NOON, EMPTY)[0].verdict is Verdict.REVIEW


def test_an_unknown_workflow_is_approved_and_says_so() -> None:
    result = answer("telepathy")
    assert result.verdict is Verdict.APPROVE
    assert result.reasons == (Reason(code="WORKFLOW_UNKNOWN"),)


@pytest.mark.parametrize(
    ("kept", "verdict"), [("keep", Verdict.APPROVE), ("review", Verdict.REVIEW)]
)
def test_expired_rules_keep_deciding_as_policy_says(kept: str, verdict: Verdict) -> None:
    expired = bundle(policy=policy_with("expired_rules", kept))
    late = AS_OF + timedelta(days=28, seconds=1)
    result = expired.decide(Basket(), ["age_check"], late, EMPTY)[0]
    assert result.verdict is verdict
    assert Reason(code="RULES_EXPIRED") in result.reasons


def test_the_context_counts_what_is_not_voided() -> None:
    basket = Basket(lines=(line(1), line(2, voided=True), line(3)), loyalty_token="hh1")
    context = BUNDLE.context(basket, NOON + timedelta(days=2))
    assert (context.total_minor, context.line_count) == (200, 2)
    assert context.store_local_date == 20171130
    assert context.weekday == 4
    assert context.store_local_minute_of_day == 12 * 60
    assert context.targeting == ("weekly",)
    assert context.artifact_age_days == {"rules": 3}


@settings(max_examples=60)
@given(baskets(most_lines=6), st.permutations(ALL))
def test_every_basket_gets_an_answer_whatever_is_asked_with_it(
    basket: Basket, workflows: list[str]
) -> None:
    together = BUNDLE.decide(basket, workflows, NOON, EMPTY)
    assert [result.workflow for result in together] == list(workflows)
    for result in together:
        alone = BUNDLE.decide(basket, [result.workflow], NOON, EMPTY)[0]
        assert projection(alone) == projection(result)


def test_two_thousand_lines_are_answered() -> None:
    whole = Basket(lines=tuple(line(n, f"item{n % 50}") for n in range(1, 2_001)))
    results = BUNDLE.decide(whole, ALL, NOON, EMPTY)
    assert len(results) == len(ALL)
    assert {BUNDLE.policy.workflows[name].kind for name in ALL} <= set(WorkflowKind)
