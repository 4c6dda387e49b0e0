"""How the rules answer each kind of workflow.

One ``RulesTier`` serves one basket: promotions and coupons share the money that is left
on the lines, whichever workflows are asked and in whichever order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import Basket, NamedValue
from terminal_client.core.coupon_engine import evaluate_coupons
from terminal_client.core.coupons import CouponBook
from terminal_client.core.decision import (
    LaneAction,
    LineResult,
    OfferResult,
    OfferStatus,
    OperatorPrompt,
    Reason,
    Recommendation,
    Verdict,
    WorkflowResult,
    highest,
)
from terminal_client.core.freshness import Freshness
from terminal_client.core.policy import Policy, WorkflowKind, WorkflowPolicy
from terminal_client.core.promotion_engine import evaluate_promotions
from terminal_client.core.promotion_model import Promotion
from terminal_client.core.queueing import expected_wait_s
from terminal_client.core.redemptions import RedemptionView
from terminal_client.core.rule_input import RuleContext, RuleInput
from terminal_client.core.rules import RuleSet
from terminal_client.core.tables import Tables


@dataclass(frozen=True, kw_only=True)
class RulesTier:
    """Everything the rules know about one basket."""

    policy: Policy
    rules: RuleSet
    promotions: tuple[Promotion, ...]
    coupons: CouponBook
    own_offer_ids: frozenset[str]
    tables: Tables
    basket: Basket
    at: datetime
    context: RuleContext
    view: RedemptionView
    freshness: Freshness

    def answer(self, name: str) -> WorkflowResult:
        """Return the rules' answer to the workflow ``name``."""
        workflow = self.policy.workflows.get(name)
        if workflow is None:
            return WorkflowResult(workflow=name, reasons=(Reason(code="WORKFLOW_UNKNOWN"),))
        kinds = {
            WorkflowKind.PROMOTION_VALIDATION: self._promotions,
            WorkflowKind.PRICE_CHECK: self._prices,
            WorkflowKind.RECOMMENDATION: self._recommendations,
            WorkflowKind.QUEUE_ESTIMATE: self._queue,
            WorkflowKind.AGE_CHECK: self._age,
        }
        own = kinds.get(workflow.kind, self._nothing)(WorkflowResult(workflow=name))
        return self._judged(workflow, own)

    def _judged(self, workflow: WorkflowPolicy, own: WorkflowResult) -> WorkflowResult:
        name = workflow.name
        fired = self.rules.evaluate(RuleInput(basket=self.basket, context=self.context), {name})
        reasons = own.reasons + fired.reasons(name) + fired.notices
        verdict = highest((own.verdict, fired.verdict(name)))
        if self.freshness is Freshness.EXPIRED:
            reasons += (Reason(code="RULES_EXPIRED"),)
            verdict = highest((verdict, self.policy.expired_rules))
        return replace(
            own,
            verdict=min(verdict, workflow.highest_verdict),
            reasons=reasons,
            prompts=own.prompts + fired.prompts(name),
        )

    def _nothing(self, result: WorkflowResult) -> WorkflowResult:
        return result

    def _promotions(self, result: WorkflowResult) -> WorkflowResult:
        offers, reasons = self._offers
        unreadable = [offer for offer in offers if offer.status is OfferStatus.UNREADABLE]
        return replace(
            result,
            verdict=Verdict.RETRY if unreadable else Verdict.APPROVE,
            offers=offers,
            reasons=reasons,
            prompts=tuple(
                OperatorPrompt(
                    prompt_id="rescan_coupon",
                    text=f"Scan the coupon again: {offer.coupon_ref}",
                    action=LaneAction.RESCAN_COUPON,
                )
                for offer in unreadable
            ),
        )

    @cached_property
    def _offers(self) -> tuple[tuple[OfferResult, ...], tuple[Reason, ...]]:
        balances = LineBalances.of(self.basket, self.own_offer_ids)
        deals = evaluate_promotions(self.promotions, self.basket, self.context, balances)
        coupons = evaluate_coupons(
            self.coupons, self.basket, self.context, balances, self.view, self.at
        )
        return deals.offers + coupons.offers, deals.reasons + coupons.reasons

    def _prices(self, result: WorkflowResult) -> WorkflowResult:
        date = self.context.store_local_date
        return replace(
            result,
            lines=tuple(
                LineResult(
                    line_number=line.line_number,
                    expected=self.tables.price.loyalty_price_applies(line.item_id, date),
                )
                for line in self.basket.lines
                if not line.voided
            ),
        )

    def _recommendations(self, result: WorkflowResult) -> WorkflowResult:
        table = self.tables.recommendation
        held = {line.item_id for line in self.basket.lines if not line.voided}
        wanted = [item for item in table.items if item not in held][: table.count]
        return replace(
            result, recommendations=tuple(Recommendation(item_id=item) for item in wanted)
        )

    def _queue(self, result: WorkflowResult) -> WorkflowResult:
        table = self.tables.arrivals
        if table is None:
            return result
        hour = self.context.store_local_minute_of_day // 60
        arrivals = table.per_hour[self.context.weekday - 1][hour]
        wait_s = expected_wait_s(arrivals, table.service_s, table.lanes)
        return replace(result, outputs=(NamedValue(name="waiting_s", int_value=wait_s),))

    def _age(self, result: WorkflowResult) -> WorkflowResult:
        verified = self.basket.age_verification.minimum_age_verified_years
        limited = [
            line
            for line in self.basket.lines
            if not line.voided and line.minimum_age_years > verified
        ]
        if not limited:
            return result
        strictest = max(line.minimum_age_years for line in limited)
        return replace(
            result,
            verdict=Verdict.REVIEW,
            reasons=tuple(
                Reason(code="AGE_CHECK_REQUIRED", line_number=line.line_number) for line in limited
            ),
            prompts=(
                OperatorPrompt(
                    prompt_id="check_age",
                    text=f"Customer must be {strictest} or older: check ID",
                    action=LaneAction.CHECK_ID,
                ),
            ),
        )
