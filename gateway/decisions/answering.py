"""Putting an answer together: the basket's pin, the decision's id, the bytes, the record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.decisions.holdings import Holdings
from gateway.decisions.setting import Scored
from posgate.box.v1 import serving_pb2 as box_pb
from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import DecodedRequest, decision_to_pb, instant_to_pb
from terminal_client.core.basket import Basket
from terminal_client.core.budget import Budget
from terminal_client.core.decision import (
    ArtifactRef,
    Decision,
    Place,
    Reason,
    Verdict,
    WorkflowResult,
    highest,
)
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.modes import Mode, inside_basket
from terminal_client.core.pin import BasketPin, read_pin
from terminal_client.core.policy import WorkflowKind, WorkflowPolicy

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The rules a call is decided by, and the lowest mode its basket has been in."""

    bundle: FallbackBundle
    floor: Mode
    pin: BasketPin
    notices: tuple[Reason, ...] = ()

    def mode(self, workflow_mode: Mode) -> Mode:
        """Return the workflow's mode inside this basket: it only moves down."""
        return inside_basket(self.floor, workflow_mode)


def choose(
    basket: Basket | None, holdings: Holdings, box_mode: Mode, now: datetime
) -> Choice | None:
    """Return what decides, honouring the basket's pin; None: there are no rules at all.

    A pin whose rules are gone is honoured for its mode, with the notice RULES_REPINNED. One
    that has lapsed or cannot be read is as none.
    """
    active = holdings.active.rules
    if active is None:
        return None
    pin = read_pin(basket.basket_pin) if basket is not None else None
    if pin is None or pin.lapsed(now, active.policy.pin_lifetime):
        fresh = BasketPin(rules_digest=active.digest, mode=box_mode, issued=now)
        return Choice(bundle=active, floor=Mode.FULL, pin=fresh)
    bundle = holdings.rules(pin.rules_digest)
    mode = inside_basket(pin.mode, box_mode)
    notices: tuple[Reason, ...] = ()
    if bundle is None:
        bundle, notices = active, (Reason(code="RULES_REPINNED"),)
    kept = replace(pin, rules_digest=bundle.digest, mode=mode)
    return Choice(bundle=bundle, floor=pin.mode, pin=kept, notices=notices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything an answer says."""

    request: DecodedRequest
    decision_id: str
    results: tuple[WorkflowResult, ...]
    mode: Mode
    bundle: FallbackBundle | None
    artifacts: tuple[ArtifactRef, ...] = ()
    notices: tuple[Reason, ...] = ()
    pin: bytes = b""


def answer(parts: Parts, budget: Budget, now: datetime, now_us: Callable[[], int]) -> bytes:
    """Return the answer's bytes and close the ledger with ``encode``."""
    basket = parts.request.basket
    message = decision_to_pb(
        Decision(
            request_id=parts.request.request_id,
            decision_id=parts.decision_id,
            results=parts.results,
            verdict=_verdict(parts.results, parts.bundle),
            mode=parts.mode,
            artifacts=parts.artifacts,
            ledger=budget.ledger,
            budget=budget.total_us * _MICROSECOND,
            gateway_time=now,
            basket_revision=0 if basket is None else basket.basket_revision,
            basket_pin=parts.pin,
            notices=parts.notices,
        )
    )
    # The last stage can only be measured once the message is there.
    left_us = budget.left_us(now_us())
    spent_us = budget.mark("encode", now_us(), left_us)
    message.ledger.add(
        stage="encode",
        spent_us=spent_us,
        allotted_us=budget.ledger[-1].allotted_us,
        result=pb.STAGE_RESULT_RAN,
    )
    message.total_duration.FromMicroseconds(budget.spent_us)
    return message.SerializeToString()


def record(
    request: DecodedRequest,
    raw: bytes,
    request_sha256: bytes,
    response: bytes,
    scored: Iterable[Scored],
    now: datetime,
) -> box_pb.JournalRecord:
    """Return what the journal keeps: the redacted request, the answer, and what replays it."""
    return box_pb.JournalRecord(
        decided_time=instant_to_pb(now),
        request=request.message.SerializeToString() if request.redacted_count else raw,
        response=response,
        request_sha256=request_sha256,
        scored=[
            box_pb.ScoredRows(
                model_digest=one.model_digest,
                line_numbers=one.line_numbers,
                rows=one.rows.astype("<f4", copy=False).tobytes(),
                scores=one.scores.astype("<f4", copy=False).tobytes(),
            )
            for one in scored
        ],
    )


def without_rules(workflows: Sequence[str]) -> tuple[WorkflowResult, ...]:
    """Return the answer of a box that has no rules yet: carry on, and say so."""
    return tuple(_bare(name, "RULES_UNAVAILABLE", Verdict.APPROVE) for name in workflows)


def out_of_time(workflows: Sequence[WorkflowPolicy]) -> tuple[WorkflowResult, ...]:
    """Return the answer when not even the rules came to an end."""
    return tuple(
        _bare(
            workflow.name,
            "BUDGET_EXHAUSTED",
            min(workflow.both_uncertain, workflow.highest_verdict),
        )
        for workflow in workflows
    )


def _bare(name: str, reason: str, verdict: Verdict) -> WorkflowResult:
    # An outage never yields RETRY.
    return WorkflowResult(
        workflow=name,
        verdict=min(verdict, Verdict.REVIEW),
        place=Place.GATEWAY,
        reasons=(Reason(code=reason),),
    )


def _verdict(results: Sequence[WorkflowResult], bundle: FallbackBundle | None) -> Verdict:
    if bundle is None:
        return highest(result.verdict for result in results)
    workflows = bundle.policy.workflows
    return highest(
        result.verdict
        for result in results
        if result.workflow not in workflows
        or workflows[result.workflow].kind is not WorkflowKind.RECOMMENDATION
    )
