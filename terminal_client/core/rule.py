"""A rule, what it finds and what a rule set's findings come to.

Owns the values; `terminal_client.core.rules` reads and judges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from terminal_client.core.decision import LaneAction, OperatorPrompt, Reason, Verdict, highest
from terminal_client.core.expression import ErrorCode, Expression

RULE_ERROR: Final = "RULE_ERROR"
"""The reason when a rule had no value; the detail says which `ErrorCode`."""

BUDGET_EXHAUSTED: Final = "BUDGET_EXHAUSTED"
"""The reason when a rule, or the whole set, ran out of budget."""


class Scope(StrEnum):
    """What a rule is about."""

    BASKET = "basket"
    LINE = "line"


class OnError(StrEnum):
    """What a rule without a value means."""

    SKIP = "skip"
    REVIEW = "review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When ``when`` holds, ``verdict`` for ``reason_code``.

    Lower ``priority`` comes first. ``prompt_id`` may be empty: nothing to show.
    """

    rule_id: str
    workflow: str
    priority: int
    scope: Scope
    when: Expression
    verdict: Verdict
    reason_code: str
    prompt_id: str = ""
    action: LaneAction = LaneAction.NONE
    on_error: OnError = OnError.REVIEW


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that held, or that had no value: then ``error`` says why.

    ``line_number`` is 0 for a rule about the basket, and where the budget ran out.
    """

    rule: Rule
    line_number: int = 0
    error: ErrorCode | None = None

    @property
    def verdict(self) -> Verdict:
        """What the finding asks for."""
        if self.error is None:
            return self.rule.verdict
        return Verdict.REVIEW if self.rule.on_error is OnError.REVIEW else Verdict.APPROVE

    @property
    def reason(self) -> Reason | None:
        """Why; None for an error that the rule says to skip."""
        if self.error is None:
            return Reason(
                code=self.rule.reason_code,
                rule_id=self.rule.rule_id,
                line_number=self.line_number,
            )
        if self.rule.on_error is OnError.SKIP:
            return None
        exhausted = self.error is ErrorCode.BUDGET_EXHAUSTED
        return Reason(
            code=BUDGET_EXHAUSTED if exhausted else RULE_ERROR,
            rule_id=self.rule.rule_id,
            line_number=self.line_number,
            detail=self.error.value,
        )

    @property
    def prompt(self) -> OperatorPrompt | None:
        """What to show at the lane; the text is the bundle's, by ``prompt_id``."""
        if self.error is not None or not self.rule.prompt_id:
            return None
        return OperatorPrompt(
            prompt_id=self.rule.prompt_id, action=self.rule.action, line_number=self.line_number
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """What a rule set found.

    ``findings`` is the trace: in the order of the rules, then of the lines. ``spent`` counts the
    nodes charged. ``exhausted``: the set's own limits cut it short.
    """

    findings: tuple[Finding, ...]
    spent: int
    exhausted: bool

    def verdict(self, workflow: str) -> Verdict:
        """Return the highest verdict of the workflow's findings, APPROVE without any."""
        return highest(finding.verdict for finding in self._of(workflow))

    def reasons(self, workflow: str) -> tuple[Reason, ...]:
        """Return the reasons of the workflow's findings, in order."""
        reasons = (finding.reason for finding in self._of(workflow))
        return tuple(reason for reason in reasons if reason is not None)

    def prompts(self, workflow: str) -> tuple[OperatorPrompt, ...]:
        """Return what to show for the workflow, in order, nothing twice."""
        prompts = (finding.prompt for finding in self._of(workflow))
        return tuple(dict.fromkeys(prompt for prompt in prompts if prompt is not None))

    @property
    def notices(self) -> tuple[Reason, ...]:
        """What concerns the whole set: that it was cut short."""
        return (Reason(code=BUDGET_EXHAUSTED),) if self.exhausted else ()

    def _of(self, workflow: str) -> Iterable[Finding]:
        return (finding for finding in self.findings if finding.rule.workflow == workflow)
