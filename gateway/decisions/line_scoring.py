"""Workflows that score lines: price check and transaction scoring.

Owns how two models and the rules share a basket's lines: the edge model where it is sure,
the deep model where that is sure of what the edge left open, the rules for the rest. And
the caps: what a score may touch is in the policy's ``influence``, and no verdict rises
above ``highest_verdict``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gateway.decisions.bands import band_in_force, confidence, sure
from gateway.decisions.deep import DeepAnswer, DeepQuestion
from gateway.decisions.holdings import ModelHolding
from gateway.decisions.setting import Scored, Setting
from gateway.features.assembly import Rows
from gateway.features.tables import Floats
from gateway.inference.runtime import Tensors
from terminal_client.core.basket import DiscountKind, LineItem
from terminal_client.core.decision import (
    LineResult,
    Place,
    Reason,
    Verdict,
    WorkflowResult,
    highest,
)
from terminal_client.core.modes import Tier
from terminal_client.core.policy import WorkflowKind, WorkflowPolicy


@dataclass(frozen=True, slots=True)
class _Said:
    """What a model said of one line, and was sure of."""

    score: float
    tier: Tier
    place: Place


class LineScoring:
    """A ``Judge`` over the lines that are not voided."""

    def __init__(self, workflow: WorkflowPolicy, rules: WorkflowResult, setting: Setting) -> None:
        self.workflow = workflow
        self._rules = rules
        self._setting = setting
        self._lines = [line for line in setting.basket.lines if not line.voided]
        self._rows: Rows | None = None
        self._open: list[int] = []
        self._asked: list[int] = []
        self._said: dict[int, _Said] = {}
        deep_declared = Tier.DEEP_MODEL in workflow.tiers
        self._why_open = "POLICY_FORBIDS_MODEL" if deep_declared else "SCORE_BORDERLINE"
        self._edge_ran = False
        self.missed_reason = ""
        self._scored: list[Scored] = []
        self._best = 0.0

    def prepare(self, model: ModelHolding) -> Rows | None:
        """Assemble one row per line."""
        if model.assembler is None or not self._lines:
            return None
        setting = self._setting
        self._rows = model.assembler.rows(
            self._lines, setting.at, setting.local, setting.active.tables, setting.log
        )
        self._open = list(range(len(self._lines)))
        return self._rows

    def edge_inputs(self) -> Tensors | None:
        """Return the matrix under the model's own input name; the pipeline renames it."""
        return None if self._rows is None else {"": self._rows.matrix}

    def take_edge(self, outputs: Tensors, digest: str) -> None:
        """Close the lines that the edge model is sure of."""
        scores = np.asarray(next(iter(outputs.values())), np.float32).reshape(-1)
        self._edge_ran = True
        self._settle(scores, self._open, Tier.EDGE_MODEL, digest)

    def question(self) -> DeepQuestion | None:
        """Return every open line, in one question."""
        if self._rows is None or not self._open:
            return None
        self._asked = list(self._open)
        return DeepQuestion(
            model=self.workflow.deep_model,
            rows=self._rows.matrix[self._asked],
            item_ids=tuple(self._lines[at].item_id for at in self._asked),
            store_id=self._setting.store_id,
            date=self._setting.local.date,
            loyalty_token=self._setting.basket.loyalty_token,
        )

    def take_deep(self, answer: DeepAnswer) -> None:
        """Close the lines that the deep model is sure of."""
        digest = f"{self.workflow.deep_model}/{answer.model_version}"
        self._settle(answer.scores, self._asked, Tier.DEEP_MODEL, digest)
        self._why_open = "BOTH_TIERS_UNCERTAIN" if self._edge_ran else "SCORE_BORDERLINE"

    def missed(self, reason: str) -> None:
        """Note why lines stay open, or why there was no model at all."""
        self._why_open = reason
        self.missed_reason = reason

    def scored(self) -> list[Scored]:
        """Return the rows and scores of every model that answered."""
        return self._scored

    def result(self) -> WorkflowResult:
        """Merge what models said into the rules' answer."""
        if not self._scored:
            missed = (Reason(code=self.missed_reason),) if self.missed_reason else ()
            return replace(self._rules, reasons=self._rules.reasons + missed)
        reasons = list(self._rules.reasons)
        by_rules = {line.line_number: line for line in self._rules.lines}
        lines = [
            self._line(at, by_rules.get(line.line_number), reasons)
            for at, line in enumerate(self._lines)
        ]
        verdict = highest([self._rules.verdict, *(line.verdict for line in lines)])
        lowest = max(lines, key=lambda line: line.tier)
        scoring = self.workflow.kind is WorkflowKind.TRANSACTION_SCORING
        return replace(
            self._rules,
            verdict=min(verdict, max(self.workflow.highest_verdict, self._rules.verdict)),
            tier=lowest.tier,
            place=lowest.place,
            score=self._best if scoring else None,
            confidence=confidence(self._best) if scoring else None,
            reasons=tuple(reasons),
            lines=tuple(lines),
        )

    def _settle(self, scores: Floats, places: list[int], tier: Tier, digest: str) -> None:
        rows = self._rows
        if rows is None:
            return
        scores = np.clip(scores, 0.0, 1.0)
        edge = tier is Tier.EDGE_MODEL
        bands = self.workflow.edge_bands if edge else self.workflow.deep_bands
        accepted = sure(scores, band_in_force(bands, rows.age, rows.missing))
        place = Place.GATEWAY if edge else Place.CLOUD
        for at, score, is_sure in zip(places, scores.tolist(), accepted.tolist(), strict=True):
            if is_sure:
                self._said[at] = _Said(score, tier, place)
        self._open = [at for at in places if at not in self._said]
        self._best = max(self._best, float(np.max(scores, initial=0.0)))
        self._scored.append(
            Scored(
                model_digest=digest,
                line_numbers=tuple(self._lines[at].line_number for at in places),
                rows=rows.matrix[places],
                scores=scores,
            )
        )

    def _line(self, at: int, by_rules: LineResult | None, reasons: list[Reason]) -> LineResult:
        line = self._lines[at]
        verdict = Verdict.APPROVE if by_rules is None else by_rules.verdict
        expected = False if by_rules is None else by_rules.expected
        said = self._said.get(at)
        if said is None:
            reasons.append(Reason(code=self._why_open, line_number=line.line_number))
            left = min(self.workflow.both_uncertain, self.workflow.highest_verdict)
            return LineResult(
                line_number=line.line_number,
                verdict=max(verdict, left),
                place=Place.GATEWAY,
                expected=expected,
            )
        if self.workflow.kind is WorkflowKind.PRICE_CHECK:
            expected = self._priced(line, said.score, expected, reasons)
            code = "PRICE_CONTRADICTS_MODEL" if self._contradicts(line, said.score) else ""
        else:
            code = "SCORE_HIGH" if said.score >= self._alarm(said.tier) else ""
        if code:
            verdict = max(verdict, self._flag(line, code, reasons))
        return LineResult(
            line_number=line.line_number,
            verdict=verdict,
            tier=said.tier,
            place=said.place,
            score=said.score,
            confidence=confidence(said.score),
            expected=expected,
        )

    def _priced(self, line: LineItem, score: float, by_rules: bool, reasons: list[Reason]) -> bool:
        """Return whether the loyalty price applies: the model's word, if it has one."""
        by_model = score >= 0.5
        if "expected" in self.workflow.influence:
            return by_model
        if by_model != by_rules:
            reasons.append(Reason(code="INFLUENCE_CAPPED", line_number=line.line_number))
        return by_rules

    def _contradicts(self, line: LineItem, score: float) -> bool:
        """Tell whether the register's loyalty discount disagrees with a sure model."""
        discounted = any(
            discount.kind is DiscountKind.LOYALTY and discount.amount_minor > 0
            for discount in line.discounts
        )
        if discounted:
            return score <= self.workflow.contradiction_low
        return score >= self.workflow.contradiction_high

    def _alarm(self, tier: Tier) -> float:
        """Return the score from which a line is unusual: the high side of the tier's band."""
        edge = tier is Tier.EDGE_MODEL
        bands = self.workflow.edge_bands if edge else self.workflow.deep_bands
        rows = self._rows
        band = None if rows is None else band_in_force(bands, rows.age, rows.missing)
        return 1.0 if band is None else float(np.float32(band.high))

    def _flag(self, line: LineItem, code: str, reasons: list[Reason]) -> Verdict:
        """Return the verdict that a model's alarm asks for, as far as policy lets it."""
        if "review_flag" not in self.workflow.influence:
            reasons.append(Reason(code="INFLUENCE_CAPPED", line_number=line.line_number))
            return Verdict.APPROVE
        reasons.append(Reason(code=code, line_number=line.line_number))
        return min(Verdict.REVIEW, self.workflow.highest_verdict)
