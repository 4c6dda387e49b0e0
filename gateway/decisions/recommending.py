"""Recommendations: what a cart model adds to the store's best sellers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gateway.decisions.deep import DeepAnswer, DeepQuestion
from gateway.decisions.holdings import ModelHolding
from gateway.decisions.setting import Scored, Setting
from gateway.features.assembly import Rows
from gateway.features.cart import CartEncoder
from gateway.inference.runtime import Tensors
from terminal_client.core.decision import Place, Reason, Recommendation, WorkflowResult
from terminal_client.core.modes import Tier
from terminal_client.core.policy import WorkflowPolicy


class Recommending:
    """A ``Judge`` over the cart; the deep model is asked for known households.

    The gain of the deep model is the household's history, so a loyalty token is the trigger;
    with edge bands, so is a best score below the first band's high side.
    """

    def __init__(self, workflow: WorkflowPolicy, rules: WorkflowResult, setting: Setting) -> None:
        self.workflow = workflow
        self._rules = rules
        self._setting = setting
        self._held = dict.fromkeys(line.item_id for line in setting.basket.lines if not line.voided)
        self._encoder: CartEncoder | None = None
        self._inputs: Tensors | None = None
        self._found: tuple[Recommendation, ...] = ()
        self._tier, self._place = Tier.RULES, Place.GATEWAY
        self.missed_reason = ""
        self._scored: list[Scored] = []

    def prepare(self, model: ModelHolding) -> Rows | None:
        """Encode the cart; there are no rows."""
        self._encoder = model.cart
        if model.cart is not None:
            self._inputs = model.cart.encode(self._held, self._setting.store_id)
        return None

    def edge_inputs(self) -> Tensors | None:
        """Return the encoded cart; None: the model knows no item of it."""
        return self._inputs

    def take_edge(self, outputs: Tensors, digest: str) -> None:
        """Take the model's list, without what is in the basket."""
        if self._encoder is None or self._inputs is None:
            return
        numbers = outputs["item"].reshape(-1).tolist()
        scores = np.asarray(outputs["score"], np.float32).reshape(-1)
        named = [
            (self._encoder.item(int(number)), score)
            for number, score in zip(numbers, scores.tolist(), strict=True)
        ]
        self._take([(item, score) for item, score in named if item], Tier.EDGE_MODEL)
        self._scored.append(
            Scored(
                model_digest=digest,
                line_numbers=(),
                rows=self._inputs["cart"].astype(np.float32),
                scores=scores,
            )
        )

    def question(self) -> DeepQuestion | None:
        """Return the cart, for a known household or when the edge model is not sure."""
        basket = self._setting.basket
        if not self._held or not (basket.loyalty_token or self._unsure()):
            return None
        return DeepQuestion(
            model=self.workflow.deep_model,
            rows=np.zeros((len(self._held), 0), np.float32),
            item_ids=tuple(self._held),
            store_id=self._setting.store_id,
            date=self._setting.local.date,
            loyalty_token=basket.loyalty_token,
        )

    def take_deep(self, answer: DeepAnswer) -> None:
        """Take the deep model's list instead."""
        pairs = list(zip(answer.item_ids, answer.scores.tolist(), strict=False))
        self._take(pairs, Tier.DEEP_MODEL)

    def missed(self, reason: str) -> None:
        """Note why a model was not used."""
        self.missed_reason = reason

    def scored(self) -> list[Scored]:
        """Return the cart and its scores."""
        return self._scored

    def result(self) -> WorkflowResult:
        """Return the model's list, filled up with the rules'."""
        if not self._found:
            reasons = (Reason(code=self.missed_reason),) if self.missed_reason else ()
            return replace(self._rules, reasons=self._rules.reasons + reasons)
        if "recommendations" not in self.workflow.influence:
            reasons = (Reason(code="INFLUENCE_CAPPED"),)
            return replace(self._rules, reasons=self._rules.reasons + reasons)
        named = {found.item_id for found in self._found}
        rest = [r for r in self._rules.recommendations if r.item_id not in named]
        count = self._setting.bundle.tables.recommendation.count
        return replace(
            self._rules,
            tier=self._tier,
            place=self._place,
            recommendations=(*self._found, *rest)[:count],
        )

    def _take(self, pairs: list[tuple[str, float]], tier: Tier) -> None:
        fresh = dict.fromkeys(item for item, _ in pairs if item and item not in self._held)
        scores = dict(reversed(pairs))
        if fresh:
            self._found = tuple(Recommendation(item_id=item, score=scores[item]) for item in fresh)
            self._tier = tier
            self._place = Place.GATEWAY if tier is Tier.EDGE_MODEL else Place.CLOUD

    def _unsure(self) -> bool:
        bands = self.workflow.edge_bands.bands
        return bool(bands and self._found and self._found[0].score < bands[0].high)
