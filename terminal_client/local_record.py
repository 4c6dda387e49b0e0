"""Decisions the terminal made itself: their ids, their shape, and their way to the spool."""

from __future__ import annotations

import itertools
import time
import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from posgate.v1 import terminal_pb2
from terminal_client.codec import decision_to_pb, instant_to_pb
from terminal_client.core.decision import Decision, Reason, StageResult, StageSpend
from terminal_client.core.modes import Mode
from terminal_client.core.pin import BasketPin
from terminal_client.fallback_reason import FallbackReason
from terminal_client.own_answer import OwnAnswer
from terminal_client.question import Question
from terminal_client.spool import Spool

_MICROSECOND = timedelta(microseconds=1)
RECORD_LATE, RECORD_LOST = "RECORD_LATE", "RECORD_LOST"


class LocalRecords:
    """Thread-safe. Without a spool, decisions are made and marked, and not kept."""

    def __init__(self, workstation_id: str, spool: Spool | None) -> None:
        self._workstation_id = workstation_id
        self._spool = spool
        self._epoch = spool.epoch if spool else uuid.uuid4().hex[:16]
        self._unkept = itertools.count(1)

    def record(
        self,
        question: Question,
        answer: OwnAnswer,
        reason: FallbackReason,
        detail: str,
        now: datetime,
        began: float,
        deadline: float,
    ) -> Decision:
        """Return the decision, on disk if the disk is quick enough for ``deadline``.

        A notice RECORD_LATE says that the answer came first and the record is still on its way:
        a crash at that moment would lose it. RECORD_LOST: it is a gap, by cap or by disk.
        """
        if self._spool is None or question.message is None:
            decision_id = f"{self._workstation_id}-{self._epoch}-u{next(self._unkept)}"
            decision = _decision(question, answer, reason, detail, decision_id, now, began)
            return _noted(decision, RECORD_LOST)
        made: list[Decision] = []

        def build(sequence: int) -> bytes:
            decision_id = f"{self._workstation_id}-{self._epoch}-{sequence}"
            made.append(_decision(question, answer, reason, detail, decision_id, now, began))
            return terminal_pb2.LocalDecision(
                request=question.message,
                response=decision_to_pb(made[0]),
                decided_time=instant_to_pb(now),
                local_sequence=sequence,
                fallback_reason=terminal_pb2.FallbackReason.ValueType(reason),
            ).SerializeToString()

        receipt = self._spool.append(build)
        if receipt.wait(deadline - time.monotonic()):
            return made[0]
        return _noted(made[0], RECORD_LOST if receipt.lost else RECORD_LATE)


def _decision(
    question: Question,
    answer: OwnAnswer,
    reason: FallbackReason,
    detail: str,
    decision_id: str,
    now: datetime,
    began: float,
) -> Decision:
    budget_us = max(question.budget // _MICROSECOND, 0)
    spent = timedelta(seconds=time.monotonic() - began)
    pin = b""
    if answer.digest:
        # What the terminal decided alone stays with the rules for the rest of the basket.
        pin = BasketPin(rules_digest=answer.digest, mode=Mode.EMERGENCY, issued=now).encode()
    return Decision(
        request_id=question.request_id,
        decision_id=decision_id,
        results=answer.results,
        verdict=answer.verdict,
        mode=Mode.EMERGENCY,
        artifacts=answer.artifacts,
        ledger=(
            StageSpend(
                stage="rules",
                spent_us=answer.spent_us,
                allotted_us=budget_us,
                result=StageResult.RAN if answer.digest else StageResult.CUT,
            ),
        ),
        budget=max(question.budget, timedelta(0)),
        total=spent,
        basket_revision=question.basket.basket_revision if question.basket else 0,
        basket_pin=pin,
        notices=(Reason(code=reason.code, detail=detail[:256]), *question.notices),
    )


def _noted(decision: Decision, code: str) -> Decision:
    return replace(decision, notices=(*decision.notices, Reason(code=code)))
