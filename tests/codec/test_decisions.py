"""An answer comes back as given, or is refused whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import AnswerError, decision_from_pb, decision_to_pb
from terminal_client.core import decision as core
from terminal_client.core.basket import DiscountKind, ItemIdType, NamedValue
from terminal_client.core.freshness import Freshness
from terminal_client.core.modes import Mode, Tier

REASON = core.Reason(code="SCORE_HIGH", rule_id="r", line_number=2, detail="d")
RESULT = core.WorkflowResult(
    workflow="price_check",
    verdict=core.Verdict.REVIEW,
    tier=Tier.DEEP_MODEL,
    place=core.Place.CLOUD,
    mode=Mode.FULL,
    score=0.25,
    confidence=0.75,
    reasons=(REASON,),
    offers=(
        core.OfferResult(
            offer_id="o",
            status=core.OfferStatus.APPLIED,
            coupon_ref="c",
            discount_minor=3,
            allocations=(
                core.LineAllocation(line_number=1, discount_minor=1),
                core.LineAllocation(line_number=2, discount_minor=2),
            ),
            reasons=(REASON,),
            redemption_key="k",
            kind=DiscountKind.COUPON_MATCH,
        ),
    ),
    recommendations=(
        core.Recommendation(item_id="i", item_id_type=ItemIdType.SKU, score=0.5, prompt_id="p"),
    ),
    pending=True,
    outputs=(NamedValue(name="waiting_s", int_value=7),),
    lines=(core.LineResult(line_number=1, score=0.0, confidence=1.0, expected=True),),
    prompts=(
        core.OperatorPrompt(
            prompt_id="p", text="t", action=core.LaneAction.CHECK_ID, line_number=1
        ),
    ),
)  # fmt: skip
DECISION = core.Decision(
    request_id="r",
    decision_id="367-ab-1",
    results=(RESULT, core.WorkflowResult(workflow="age_check")),
    verdict=core.Verdict.REVIEW,
    mode=Mode.FULL,
    artifacts=(
        core.ArtifactRef(
            kind="rules",
            name="rules",
            version="1.0.0",
            digest="sha256:" + "0" * 64,
            freshness=Freshness.STALE,
            age=timedelta(days=8),
        ),
    ),
    ledger=(core.StageSpend(stage="edge", spent_us=1, allotted_us=2, result=core.StageResult.RAN),),
    budget=timedelta(milliseconds=80),
    total=timedelta(microseconds=1234),
    gateway_time=datetime(2026, 1, 1, tzinfo=UTC),
    basket_revision=9,
    basket_pin=b"pin",
    notices=(core.Reason(code="OVERLOADED"),),
)


def test_a_decision_survives_the_wire() -> None:
    raw = decision_to_pb(DECISION).SerializeToString()
    assert decision_from_pb(pb.EvaluateResponse.FromString(raw)) == DECISION


def test_a_bare_decision_survives_the_wire() -> None:
    bare = core.Decision(request_id="r", decision_id="d", results=(), verdict=core.Verdict.APPROVE)
    assert decision_from_pb(decision_to_pb(bare)) == bare


def _allocate(message: pb.EvaluateResponse, *shares: int) -> None:
    for allocation, share in zip(message.results[0].offers[0].allocations, shares, strict=True):
        allocation.discount_minor = share


Change = Callable[[pb.EvaluateResponse], object]
UNUSABLE: dict[str, tuple[Change, str]] = {
    "no verdict": (lambda m: m.ClearField("verdict"), "verdict"),
    "unknown verdict": (lambda m: m.results[0].MergeFromString(b"\x10\x63"), "results[0].verdict"),
    "unknown mode": (lambda m: m.MergeFromString(b"\x28\x63"), "mode"),
    "no tier": (lambda m: m.results[1].ClearField("tier"), "results[1].tier"),
    "no place": (lambda m: m.results[1].ClearField("place"), "results[1].place"),
    "no status": (
        lambda m: m.results[0].offers[0].ClearField("status"),
        "results[0].offers[0].status",
    ),
    "sum": (
        lambda m: setattr(m.results[0].offers[0], "discount_minor", 4),
        "results[0].offers[0].discount_minor",
    ),
    "share below zero": (
        lambda m: _allocate(m, -1, 4),
        "results[0].offers[0].allocations",
    ),
    "score": (lambda m: setattr(m.results[0], "score", float("nan")), "results[0].score"),
    "confidence": (
        lambda m: setattr(m.results[0].lines[0], "confidence", 1.5),
        "results[0].lines[0].confidence",
    ),
    "line verdict": (
        lambda m: m.results[0].lines[0].ClearField("verdict"),
        "results[0].lines[0].verdict",
    ),
    "freshness": (lambda m: m.artifacts[0].ClearField("freshness"), "artifacts[0].freshness"),
    "age": (
        lambda m: setattr(m.artifacts[0].age_duration, "seconds", -1),
        "artifacts[0].age_duration",
    ),
    "stage": (lambda m: m.ledger[0].ClearField("result"), "ledger[0].result"),
    "budget": (lambda m: setattr(m.budget_duration, "nanos", -1), "budget_duration"),
    "time": (lambda m: setattr(m.gateway_time, "seconds", -1), "gateway_time"),
    "output": (
        lambda m: setattr(m.results[0].outputs[0], "name", "Not a name"),
        "results[0].outputs[0].name",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_answer_that_cannot_be_understood_is_refused_whole(name: str) -> None:
    change, field = UNUSABLE[name]
    message = decision_to_pb(DECISION)
    change(message)
    with pytest.raises(AnswerError) as caught:
        decision_from_pb(message)
    assert caught.value.field == field


def test_an_unknown_action_is_no_action() -> None:
    message = decision_to_pb(DECISION)
    message.results[0].prompts[0].MergeFromString(b"\x18\x63")
    assert decision_from_pb(message).results[0].prompts[0].action is core.LaneAction.NONE


def test_the_projection_leaves_out_where_and_how_fast() -> None:
    elsewhere = replace(
        RESULT, tier=Tier.RULES, place=core.Place.TERMINAL, mode=Mode.EMERGENCY, score=None
    )
    assert core.projection(elsewhere) == core.projection(RESULT)
    for change in (
        {"verdict": core.Verdict.APPROVE},
        {"reasons": ()},
        {"offers": ()},
        {"recommendations": ()},
        {"prompts": ()},
        {"workflow": "other"},
    ):
        assert core.projection(replace(RESULT, **change)) != core.projection(RESULT)


def test_the_highest_verdict_wins() -> None:
    assert core.highest([]) is core.Verdict.APPROVE
    assert core.highest([core.Verdict.RETRY, core.Verdict.REVIEW]) is core.Verdict.RETRY
