"""The promotion engine: what a basket's promotions take off, line by line, to the minor unit.

A pure function of promotions, basket, context and balances. The order of lines and of promotions
changes nothing, every number is an integer, and the work is bounded by nodes: when they run out,
what is settled until then is the answer and PROMOTION_LIMITED says so. It never raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import Basket, DiscountKind, TransactionType
from terminal_client.core.decision import LineAllocation, OfferResult, OfferStatus, Reason
from terminal_client.core.promotion_clusters import Candidate, cost_of
from terminal_client.core.promotion_deals import Deal, deal_of, missing
from terminal_client.core.promotion_eligibility import EligibilityError
from terminal_client.core.promotion_matching import LineIndex, roles_of
from terminal_client.core.promotion_model import Phase, Promotion
from terminal_client.core.promotion_nodes import Nodes, NodesSpentError
from terminal_client.core.promotion_pool import Pots, pots_of
from terminal_client.core.promotion_search import settle
from terminal_client.core.promotion_unapplied import MOST_UNAPPLIED, Cause, Unapplied, told
from terminal_client.core.rule_input import RuleContext, RuleInput

DEFAULT_NODE_BUDGET = 10_000
"""Nodes for one basket: one per line that a promotion looks at, each time that it does."""

PROMOTION_CAPPED = "PROMOTION_CAPPED"
PROMOTION_NO_SALE = "PROMOTION_NO_SALE"

_NO_SALE = frozenset({TransactionType.RETURN, TransactionType.NO_SALE, TransactionType.VOID})


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionOutcome:
    """What the promotions come to.

    ``offers``: those that apply, in order of phase, priority and id; then those worth telling
    although they do not. ``reasons``: about the whole basket, the balances' own included.
    """

    offers: tuple[OfferResult, ...] = ()
    reasons: tuple[Reason, ...] = ()
    nodes_used: int = 0


def evaluate_promotions(
    promotions: Iterable[Promotion],
    basket: Basket,
    context: RuleContext,
    balances: LineBalances,
    node_budget: int = DEFAULT_NODE_BUDGET,
) -> PromotionOutcome:
    """Apply ``promotions`` to ``basket``; what they take off is taken from ``balances``.

    ``balances`` must be those of ``basket``, with all of the bundle's offers as its own. Never
    raises, and never uses more than ``node_budget`` nodes.
    """
    if basket.transaction_type in _NO_SALE:
        reason = Reason(code=PROMOTION_NO_SALE, detail=basket.transaction_type.name)
        return PromotionOutcome(reasons=(*balances.reasons, reason))
    evaluation = _Evaluation(basket, context, balances, Nodes(node_budget))
    ordered = sorted(promotions, key=lambda promotion: promotion.order)
    applied: list[OfferResult] = []
    for phase in Phase:
        of_phase = [one for one in ordered if one.phase is phase]
        if of_phase:
            applied += evaluation.apply(of_phase)
    booked = {discount.offer_id for line in basket.lines for discount in line.discounts}
    return PromotionOutcome(
        offers=(*applied, *told(evaluation.unapplied, booked)),
        reasons=(*balances.reasons, *evaluation.reasons()),
        nodes_used=evaluation.nodes.used,
    )


class _Evaluation:
    """One basket being evaluated, phase by phase."""

    def __init__(
        self, basket: Basket, context: RuleContext, balances: LineBalances, nodes: Nodes
    ) -> None:
        self.nodes = nodes
        self.unapplied: list[Unapplied] = []
        self._input = RuleInput(basket=basket, context=context)
        self._balances = balances
        self._index = LineIndex(balances)
        self._targeting = frozenset(context.targeting)
        self._errors: list[Reason] = []
        self._limited = False

    def apply(self, promotions: Iterable[Promotion]) -> list[OfferResult]:
        """Apply one phase's promotions, given in their order; return those that apply."""
        pots = pots_of(self._balances)
        # Looking at all of them must leave nodes to apply some.
        part = self.nodes.half()
        found = [self._admit(one, pots, part) for one in promotions]
        self.nodes.join(part)
        candidates = [one for one in found if one is not None]
        settled = settle(candidates, pots, self.nodes)
        self._limited |= settled.limited
        deals = {candidate.promotion.offer_id: deal for candidate, deal in settled.chosen}
        lost = Cause.LIMITED if settled.limited else Cause.SUPERSEDED
        results = []
        for candidate in candidates:
            deal = deals.get(candidate.promotion.offer_id)
            if deal is None:
                self.unapplied.append(Unapplied(candidate.promotion, lost))
            else:
                results.append(self._book(candidate.promotion, deal))
        return results

    def reasons(self) -> tuple[Reason, ...]:
        """Return what went wrong with the evaluation itself."""
        limited = (Reason(code=Cause.LIMITED.value),) if self._limited else ()
        return (*limited, *self._errors)

    def _admit(self, promotion: Promotion, pots: Pots, nodes: Nodes) -> Candidate | None:
        """Return the promotion as a candidate, or None and note why it is none."""
        try:
            found = self._judge(promotion, pots, nodes)
        except NodesSpentError:
            self._limited = True
            found = Unapplied(promotion, Cause.LIMITED)
        if isinstance(found, Candidate):
            return found
        self.unapplied.append(found)
        return None

    def _judge(self, promotion: Promotion, pots: Pots, nodes: Nodes) -> Candidate | Unapplied:
        closed = self._closed(promotion)
        # One that is not running is looked at only where it was promised to the household.
        if closed is not None and (closed is Cause.NOT_TARGETED or not promotion.segments):
            return Unapplied(promotion, closed)
        nodes.spend(1)
        roles = roles_of(promotion.offer, self._index)
        nodes.spend(cost_of(roles))
        lines = frozenset().union(*roles)
        if not lines:
            return Unapplied(promotion, Cause.NO_ITEM)
        cause = closed or self._ineligible(promotion)
        if cause is not None:
            return Unapplied(promotion, cause)
        deal = deal_of(promotion, roles, pots)
        if deal is not None:
            return Candidate(promotion, roles, lines, deal)
        short = missing(promotion, roles, pots)
        return Unapplied(promotion, Cause.NOT_REACHED if short else Cause.NO_SAVING, short)

    def _closed(self, promotion: Promotion) -> Cause | None:
        if promotion.segments and not promotion.segments & self._targeting:
            return Cause.NOT_TARGETED
        windows = promotion.windows
        if windows and not any(window.open_at(self._input.context) for window in windows):
            return Cause.OUTSIDE_WINDOW
        return None

    def _ineligible(self, promotion: Promotion) -> Cause | None:
        if promotion.eligible is None:
            return None
        try:
            return None if promotion.eligible(self._input) else Cause.NOT_ELIGIBLE
        except EligibilityError as error:
            code = Cause.ELIGIBILITY_ERROR.value
            if len(self._errors) < MOST_UNAPPLIED:
                reason = Reason(code=code, rule_id=promotion.offer_id, detail=error.code)
                self._errors.append(reason)
            return Cause.ELIGIBILITY_ERROR

    def _book(self, promotion: Promotion, deal: Deal) -> OfferResult:
        by_line: dict[int, int] = {}
        for segment, _, _, discount in deal.takes:
            if discount:
                number = segment.line_number
                by_line[number] = by_line.get(number, 0) + discount
        shares = sorted(by_line.items())
        for number, discount in shares:
            self._balances.take(number, discount)
        return OfferResult(
            kind=DiscountKind.PROMOTION,
            offer_id=promotion.offer_id,
            status=OfferStatus.APPLIED,
            discount_minor=deal.discount,
            allocations=tuple(
                [LineAllocation(line_number=n, discount_minor=discount) for n, discount in shares]
            ),
            reasons=(Reason(code=PROMOTION_CAPPED),) if deal.capped else (),
        )
