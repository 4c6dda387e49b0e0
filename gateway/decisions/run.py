"""One call's state between the stages, and the results as they stand at any moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.decisions.answering import Choice, out_of_time
from gateway.decisions.arrivals import ObservedArrivals
from gateway.decisions.line_scoring import LineScoring
from gateway.decisions.pipeline import Case
from gateway.decisions.recommending import Recommending
from gateway.decisions.setting import Judge, Scored, Setting
from gateway.degrade import DegradeMonitor
from terminal_client.codec import DecodedRequest
from terminal_client.core.budget import Budget
from terminal_client.core.decision import (
    ArtifactRef,
    LineResult,
    Place,
    Reason,
    StageResult,
    WorkflowResult,
)
from terminal_client.core.modes import Mode, Tier
from terminal_client.core.policy import WorkflowKind, WorkflowPolicy

_JUDGES: dict[WorkflowKind, Callable[[WorkflowPolicy, WorkflowResult, Setting], Judge]] = {
    WorkflowKind.PRICE_CHECK: LineScoring,
    WorkflowKind.TRANSACTION_SCORING: LineScoring,
    WorkflowKind.RECOMMENDATION: Recommending,
}
_MODEL_TIERS = {Tier.EDGE_MODEL, Tier.DEEP_MODEL}


@dataclass(slots=True, kw_only=True)
class Run:
    """A call: what it asks, by which rules, with how much time; and what is known so far."""

    request: DecodedRequest
    request_sha256: bytes
    raw: bytes
    choice: Choice
    budget: Budget
    at: datetime
    now: datetime
    decision_id: str
    workflows: tuple[WorkflowPolicy, ...]
    admitted: bool = True
    rules: tuple[WorkflowResult, ...] | None = None
    setting: Setting | None = None
    cases: dict[str, Case] = field(default_factory=dict)
    notices: list[Reason] = field(default_factory=list)
    artifacts: list[ArtifactRef] = field(default_factory=list)
    waited_us: int = 0

    def open_cases(
        self, setting: Setting, modes: DegradeMonitor, rules: Sequence[WorkflowResult]
    ) -> None:
        """Open a case for every workflow on which a model may improve."""
        self.setting = setting
        for workflow, ruled in zip(self.workflows, rules, strict=True):
            make = _JUDGES.get(workflow.kind)
            if make is not None and workflow.tiers & _MODEL_TIERS:
                self.cases[workflow.name] = Case(
                    judge=make(workflow, replace(ruled, place=Place.GATEWAY), setting),
                    mode=self.choice.mode(modes.mode_of(workflow.name)),
                )

    def shed(self) -> None:
        """Leave it to the rules: there is too much work."""
        self.notices.append(Reason(code="OVERLOADED"))
        for workflow in self.workflows:
            for tier, stage in ((Tier.EDGE_MODEL, "edge"), (Tier.DEEP_MODEL, "deep")):
                if tier in workflow.tiers:
                    self.budget.skip(stage, StageResult.SKIPPED_NO_TIME, workflow.name)

    def asked_now(self) -> list[Case]:
        """Return the cases that the caller waits for."""
        return [case for case in self.cases.values() if case.judge.workflow.interactive]

    def asked_later(self) -> list[Case]:
        """Return the cases that are answered by GetDecision."""
        return [case for case in self.cases.values() if not case.judge.workflow.interactive]

    def scored(self) -> list[Scored]:
        """Return what replays the models' part, if the mode's row keeps it."""
        row = self.choice.bundle.policy.modes[self.choice.pin.mode]
        if row.telemetry_fields and "scores" not in row.telemetry_fields:
            return []
        return [one for case in self.cases.values() for one in case.judge.scored()]

    def results(
        self, modes: DegradeMonitor, arrivals: ObservedArrivals, pending: frozenset[str]
    ) -> tuple[WorkflowResult, ...]:
        """Return every workflow's answer as it stands, in the order asked."""
        rules = self.rules
        if rules is None:
            rules = out_of_time(self.workflows)
        known = {
            workflow.name: self._result(
                workflow, ruled, modes, arrivals, pending=workflow.name in pending
            )
            for workflow, ruled in zip(self.workflows, rules, strict=True)
        }
        return tuple(known.get(name) or self._unknown(name) for name in self.request.workflows)

    def _unknown(self, name: str) -> WorkflowResult:
        # Registers and rules are updated on different nights: the rest of the call goes on.
        return WorkflowResult(
            workflow=name,
            place=Place.GATEWAY,
            mode=self.choice.pin.mode,
            reasons=(Reason(code="WORKFLOW_UNKNOWN"),),
        )

    def _result(
        self,
        workflow: WorkflowPolicy,
        ruled: WorkflowResult,
        modes: DegradeMonitor,
        arrivals: ObservedArrivals,
        *,
        pending: bool,
    ) -> WorkflowResult:
        case = self.cases.get(workflow.name)
        if case is None:
            mode = self.choice.mode(modes.mode_of(workflow.name))
            placed = _placed(ruled, mode)
            if workflow.kind is WorkflowKind.QUEUE_ESTIMATE and self._observes(workflow, mode):
                profile = self.choice.bundle.tables.arrivals
                return arrivals.answer(workflow, placed, profile, self.at)
            return placed
        result = _placed(case.judge.result(), case.mode)
        if case.stale and case.edge_answered:
            result = replace(result, reasons=(*result.reasons, Reason(code="MODEL_STALE_USED")))
        return replace(result, pending=pending)

    def _observes(self, workflow: WorkflowPolicy, mode: Mode) -> bool:
        tiers = self.choice.bundle.policy.tiers(workflow, mode)
        return self.admitted and Tier.EDGE_MODEL in tiers


def _placed(result: WorkflowResult, mode: Mode) -> WorkflowResult:
    """Say where and in which mode it was decided; the rules tier itself cannot know."""
    lines = result.lines
    if any(line.place is Place.TERMINAL for line in lines):
        lines = tuple(_line_placed(line) for line in lines)
    place = Place.GATEWAY if result.place is Place.TERMINAL else result.place
    return replace(result, place=place, mode=mode, lines=lines)


def _line_placed(line: LineResult) -> LineResult:
    # Written out: dataclasses.replace costs four times as much, and there are many lines.
    return LineResult(
        line_number=line.line_number,
        verdict=line.verdict,
        tier=line.tier,
        place=Place.GATEWAY if line.place is Place.TERMINAL else line.place,
        score=line.score,
        confidence=line.confidence,
        expected=line.expected,
    )
