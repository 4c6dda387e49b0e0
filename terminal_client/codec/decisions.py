"""``posgate.v1.EvaluateResponse`` and the core's ``Decision``, both ways.

Reading an answer is strict where acting on it would be: a verdict, tier or status that
this version does not know makes the whole answer unusable, and the caller uses the rules.
"""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum
from typing import Literal, TypeVar

from google.protobuf.duration_pb2 import Duration

from posgate.v1 import basket_pb2
from posgate.v1 import decision_pb2 as pb
from terminal_client.codec.basket_reader import instant_from_pb, value_from_pb
from terminal_client.codec.basket_writer import instant_to_pb, value_to_pb
from terminal_client.codec.request_error import RequestError
from terminal_client.core import decision as core
from terminal_client.core.basket import DiscountKind, ItemIdType
from terminal_client.core.freshness import Freshness
from terminal_client.core.modes import Mode, Tier

# Evaluation times reach from 1970 to 2200, and so may ages.
_LONGEST_S = 231 * 366 * 86_400

E = TypeVar("E", bound=IntEnum)


class AnswerError(ValueError):
    """An answer cannot be used; ``field`` is the path of the field that says so."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field


def decision_from_pb(message: pb.EvaluateResponse) -> core.Decision:
    """Return the decision in ``message``.

    Raises:
        AnswerError: it holds a value this version does not know or cannot be meant.
    """
    results = tuple(_result(result, f"results[{i}]") for i, result in enumerate(message.results))
    try:
        gateway_time = (
            instant_from_pb(message.gateway_time, "gateway_time")
            if message.HasField("gateway_time")
            else None
        )
    except RequestError as error:
        raise AnswerError(error.field, error.problem) from error
    return core.Decision(
        request_id=message.request_id,
        decision_id=message.decision_id,
        results=results,
        verdict=_known(core.Verdict, message.verdict, "verdict"),
        mode=_known(Mode, message.mode, "mode"),
        artifacts=tuple(
            _artifact(artifact, f"artifacts[{i}]") for i, artifact in enumerate(message.artifacts)
        ),
        ledger=tuple(_spend(spend, f"ledger[{i}]") for i, spend in enumerate(message.ledger)),
        budget=_span(message.budget_duration, "budget_duration"),
        total=_span(message.total_duration, "total_duration"),
        gateway_time=gateway_time,
        basket_revision=message.basket_revision,
        basket_pin=message.basket_pin,
        notices=tuple(_reason(reason) for reason in message.notices),
    )


def decision_to_pb(decision: core.Decision) -> pb.EvaluateResponse:
    """Return the message of ``decision``."""
    return pb.EvaluateResponse(
        request_id=decision.request_id,
        decision_id=decision.decision_id,
        verdict=pb.Verdict.ValueType(decision.verdict),
        results=[_result_to_pb(result) for result in decision.results],
        mode=pb.Mode.ValueType(decision.mode),
        artifacts=[
            pb.ArtifactRef(
                kind=artifact.kind,
                name=artifact.name,
                version=artifact.version,
                digest=artifact.digest,
                freshness=pb.Freshness.ValueType(artifact.freshness),
                age_duration=_span_to_pb(artifact.age),
            )
            for artifact in decision.artifacts
        ],
        ledger=[
            pb.StageSpend(
                workflow=spend.workflow,
                stage=spend.stage,
                spent_us=spend.spent_us,
                allotted_us=spend.allotted_us,
                result=pb.StageResult.ValueType(spend.result),
            )
            for spend in decision.ledger
        ],
        budget_duration=_span_to_pb(decision.budget),
        total_duration=_span_to_pb(decision.total),
        gateway_time=instant_to_pb(decision.gateway_time),
        basket_revision=decision.basket_revision,
        basket_pin=decision.basket_pin,
        notices=[_reason_to_pb(reason) for reason in decision.notices],
    )


def _result(message: pb.WorkflowResult, path: str) -> core.WorkflowResult:
    try:
        outputs = tuple(
            value_from_pb(value, f"{path}.outputs[{i}]") for i, value in enumerate(message.outputs)
        )
    except RequestError as error:
        raise AnswerError(error.field, error.problem) from error
    return core.WorkflowResult(
        workflow=message.workflow,
        verdict=_known(core.Verdict, message.verdict, f"{path}.verdict"),
        tier=_known(Tier, message.tier, f"{path}.tier"),
        place=_known(core.Place, message.place, f"{path}.place"),
        mode=_known(Mode, message.mode, f"{path}.mode"),
        score=_share(message, "score", path),
        confidence=_share(message, "confidence", path),
        reasons=tuple(_reason(reason) for reason in message.reasons),
        offers=tuple(
            _offer(offer, f"{path}.offers[{i}]") for i, offer in enumerate(message.offers)
        ),
        recommendations=tuple(
            core.Recommendation(
                item_id=item.item_id,
                item_id_type=ItemIdType(item.item_id_type),
                score=item.score,
                prompt_id=item.prompt_id,
            )
            for item in message.recommendations
        ),
        pending=message.pending,
        outputs=outputs,
        lines=tuple(_line(line, f"{path}.lines[{i}]") for i, line in enumerate(message.lines)),
        prompts=tuple(
            core.OperatorPrompt(
                prompt_id=prompt.prompt_id,
                text=prompt.text,
                action=_action(prompt.action),
                line_number=prompt.line_number,
            )
            for prompt in message.prompts
        ),
    )


def _result_to_pb(result: core.WorkflowResult) -> pb.WorkflowResult:
    return pb.WorkflowResult(
        workflow=result.workflow,
        verdict=pb.Verdict.ValueType(result.verdict),
        tier=pb.Tier.ValueType(result.tier),
        place=pb.Place.ValueType(result.place),
        mode=pb.Mode.ValueType(result.mode),
        score=result.score,
        confidence=result.confidence,
        reasons=[_reason_to_pb(reason) for reason in result.reasons],
        offers=[_offer_to_pb(offer) for offer in result.offers],
        recommendations=[
            pb.Recommendation(
                item_id=item.item_id,
                item_id_type=basket_pb2.ItemIdType.ValueType(item.item_id_type),
                score=item.score,
                prompt_id=item.prompt_id,
            )
            for item in result.recommendations
        ],
        pending=result.pending,
        outputs=[value_to_pb(value) for value in result.outputs],
        lines=[_line_to_pb(line) for line in result.lines],
        prompts=[
            pb.OperatorPrompt(
                prompt_id=prompt.prompt_id,
                text=prompt.text,
                action=pb.LaneAction.ValueType(prompt.action),
                line_number=prompt.line_number,
            )
            for prompt in result.prompts
        ],
    )


def _offer(message: pb.OfferResult, path: str) -> core.OfferResult:
    allocations = tuple(
        core.LineAllocation(line_number=share.line_number, discount_minor=share.discount_minor)
        for share in message.allocations
    )
    if sum(share.discount_minor for share in allocations) != message.discount_minor:
        raise AnswerError(f"{path}.discount_minor", "is not the sum of its allocations")
    if any(share.discount_minor < 0 for share in allocations):
        raise AnswerError(f"{path}.allocations", "holds a share below zero")
    return core.OfferResult(
        offer_id=message.offer_id,
        coupon_ref=message.coupon_ref,
        status=_known(core.OfferStatus, message.status, f"{path}.status"),
        discount_minor=message.discount_minor,
        allocations=allocations,
        reasons=tuple(_reason(reason) for reason in message.reasons),
        redemption_key=message.redemption_key,
        kind=DiscountKind(message.kind),
    )


def _offer_to_pb(offer: core.OfferResult) -> pb.OfferResult:
    return pb.OfferResult(
        offer_id=offer.offer_id,
        coupon_ref=offer.coupon_ref,
        status=pb.OfferStatus.ValueType(offer.status),
        discount_minor=offer.discount_minor,
        allocations=[
            pb.LineAllocation(line_number=share.line_number, discount_minor=share.discount_minor)
            for share in offer.allocations
        ],
        reasons=[_reason_to_pb(reason) for reason in offer.reasons],
        redemption_key=offer.redemption_key,
        kind=basket_pb2.DiscountKind.ValueType(offer.kind),
    )


def _line(message: pb.LineResult, path: str) -> core.LineResult:
    return core.LineResult(
        line_number=message.line_number,
        verdict=_known(core.Verdict, message.verdict, f"{path}.verdict"),
        tier=_known(Tier, message.tier, f"{path}.tier"),
        place=_known(core.Place, message.place, f"{path}.place"),
        score=_share(message, "score", path),
        confidence=_share(message, "confidence", path),
        expected=message.expected,
    )


def _line_to_pb(line: core.LineResult) -> pb.LineResult:
    return pb.LineResult(
        line_number=line.line_number,
        verdict=pb.Verdict.ValueType(line.verdict),
        tier=pb.Tier.ValueType(line.tier),
        place=pb.Place.ValueType(line.place),
        score=line.score,
        confidence=line.confidence,
        expected=line.expected,
    )


def _artifact(message: pb.ArtifactRef, path: str) -> core.ArtifactRef:
    return core.ArtifactRef(
        kind=message.kind,
        name=message.name,
        version=message.version,
        digest=message.digest,
        freshness=_known(Freshness, message.freshness, f"{path}.freshness"),
        age=_span(message.age_duration, f"{path}.age_duration"),
    )


def _spend(message: pb.StageSpend, path: str) -> core.StageSpend:
    return core.StageSpend(
        workflow=message.workflow,
        stage=message.stage,
        spent_us=message.spent_us,
        allotted_us=message.allotted_us,
        result=_known(core.StageResult, message.result, f"{path}.result"),
    )


def _reason(message: pb.Reason) -> core.Reason:
    return core.Reason(
        code=message.code,
        rule_id=message.rule_id,
        line_number=message.line_number,
        detail=message.detail,
    )


def _reason_to_pb(reason: core.Reason) -> pb.Reason:
    return pb.Reason(
        code=reason.code,
        rule_id=reason.rule_id,
        line_number=reason.line_number,
        detail=reason.detail,
    )


def _span(message: Duration, path: str) -> timedelta:
    if not 0 <= message.seconds <= _LONGEST_S or not 0 <= message.nanos < 10**9:
        raise AnswerError(path, "is out of range")
    return timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def _span_to_pb(span: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(span)
    return message


def _share(
    message: pb.WorkflowResult | pb.LineResult, name: Literal["score", "confidence"], path: str
) -> float | None:
    if not message.HasField(name):
        return None
    value: float = getattr(message, name)
    # NaN is in no range.
    if not 0.0 <= value <= 1.0:
        raise AnswerError(f"{path}.{name}", f"is {value}")
    return value


def _action(number: int) -> core.LaneAction:
    try:
        return core.LaneAction(number)
    except ValueError:
        return core.LaneAction.NONE


def _known(kind: type[E], number: int, path: str) -> E:
    try:
        return kind(number)
    except ValueError as error:
        raise AnswerError(path, f"has the unknown value {number}") from error
