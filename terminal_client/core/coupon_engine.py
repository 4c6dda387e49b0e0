"""What becomes of the coupons handed over: one offer per coupon, and the store's match.

A pure function of coupons, basket, context, balances and redemption view; it never raises and
redeems nothing. Coupons are judged by ``coupon_ref`` (of equal ones the earlier first), each
on what those before it left. The checks come in one order, and the first that fails speaks:

1. readable, and known to the bundle
2. inside its window
3. meant for this household and retailer
4. an item it is for is in the basket
5. not redeemed before, in this basket or another
6. enough of the items, not yet claimed by another coupon, with money left on them
7. inside the signed limits, where it cannot be verified
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import Basket, DiscountKind, PresentedCoupon, TransactionType
from terminal_client.core.coupon_candidates import Candidate, Refusal, candidates_for
from terminal_client.core.coupon_claims import Claims, Found, spread
from terminal_client.core.coupon_terms import ValueKind
from terminal_client.core.coupons import CouponBook
from terminal_client.core.decision import LineAllocation, OfferResult, OfferStatus, Reason
from terminal_client.core.freshness import age_at
from terminal_client.core.redemptions import RedemptionView
from terminal_client.core.rule_input import RuleContext

# Nothing is sold here, so no item qualifies.
_NO_SALE = frozenset({TransactionType.RETURN, TransactionType.NO_SALE, TransactionType.VOID})


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponOutcome:
    """Offers in the order judged; ``reasons``: every code said of a coupon, once."""

    offers: tuple[OfferResult, ...] = ()
    reasons: tuple[Reason, ...] = ()


def evaluate_coupons(
    coupons: CouponBook,
    basket: Basket,
    context: RuleContext,
    balances: LineBalances,
    view: RedemptionView,
    at: datetime | None = None,
) -> CouponOutcome:
    """Judge the coupons of ``basket`` and take what they are worth off ``balances``.

    ``at`` is the time of record; without it the basket's own is used. An accepted coupon gives
    one offer with its own value, and a second one of the same ``coupon_ref`` with the store's
    match if there is one: they are booked apart. Never raises.
    """
    session = _Session(coupons, basket, context, balances, view)
    moment = at or basket.evaluation_time or basket.terminal_time
    session.view_current = _current(coupons, view, moment)
    offers: list[OfferResult] = []
    for presented in sorted(basket.coupons, key=lambda coupon: coupon.coupon_ref):
        offers.extend(session.judge(presented))
    codes = dict.fromkeys(reason.code for offer in offers for reason in offer.reasons)
    return CouponOutcome(offers=tuple(offers), reasons=tuple(Reason(code=code) for code in codes))


def _current(coupons: CouponBook, view: RedemptionView, moment: datetime | None) -> bool:
    """Tell whether the view is young enough to take coupons that only it can check."""
    if coupons.unverified is None or view.as_of is None or moment is None:
        return False
    return age_at(view.as_of, moment) <= coupons.unverified.max_view_age


class _Session:
    """The coupons of one basket, one after the other."""

    def __init__(
        self,
        coupons: CouponBook,
        basket: Basket,
        context: RuleContext,
        balances: LineBalances,
        view: RedemptionView,
    ) -> None:
        self.view_current = False
        self._coupons = coupons
        self._household = basket.loyalty_token
        self._today = context.store_local_date
        sale = basket.transaction_type not in _NO_SALE
        self._claims = Claims(balances if sale else LineBalances({}, {}))
        self._view = view
        self._used: set[tuple[str, ...]] = set()
        self._unverified_count = 0
        self._unverified_minor = 0

    def judge(self, presented: PresentedCoupon) -> list[OfferResult]:
        """Return the coupon's offer, and its match's if there is one."""
        found = candidates_for(self._coupons, presented, self._today)
        if isinstance(found, Refusal):
            return [found.offer(presented.coupon_ref)]
        refusals = []
        for candidate in found:
            result = self._try(candidate, presented.coupon_ref)
            if not isinstance(result, Refusal):
                return result
            refusals.append(result)
        # The same code in several campaigns: the one that came furthest explains most.
        furthest = max(refusals, key=lambda refusal: refusal.check)
        return [furthest.offer(presented.coupon_ref)]

    def _try(self, candidate: Candidate, coupon_ref: str) -> list[OfferResult] | Refusal:
        early = self._refused_early(candidate)
        if early is not None:
            return early
        found = self._claims.find(candidate.terms)
        if found is None:
            return candidate.refused(6, "COUPON_QUANTITY_NOT_MET")
        value = candidate.terms.value
        discounts = self._claims.discounts(value, found.valued)
        worth_minor = sum(discounts.values())
        if not worth_minor and value.kind is not ValueKind.NONE:
            return candidate.refused(6, "COUPON_NO_QUALIFYING_ITEM", detail="nothing left to take")
        if not candidate.verified:
            over = self._over_limit(worth_minor)
            if over:
                return candidate.refused(7, "COUPON_LIMIT_REACHED", detail=over)
            self._unverified_count += 1
            self._unverified_minor += worth_minor
        return self._accept(candidate, coupon_ref, found, discounts)

    def _refused_early(self, candidate: Candidate) -> Refusal | None:
        """Make the checks that need no arithmetic, in order."""
        expired = OfferStatus.EXPIRED
        if self._today < candidate.first_date:
            return candidate.refused(2, "COUPON_NOT_STARTED", expired)
        if self._today > candidate.last_date:
            return candidate.refused(2, "COUPON_EXPIRED", expired)
        if candidate.households is not None and (
            not self._household or self._household not in candidate.households
        ):
            return candidate.refused(3, "COUPON_NOT_TARGETED")
        if candidate.objection:
            return candidate.refused(3, candidate.objection)
        if not self._claims.qualifies(candidate.terms):
            return candidate.refused(4, "COUPON_NO_QUALIFYING_ITEM")
        key = candidate.redemption_key(self._household)
        if self._view.redeemed(key) or candidate.use_of(self._household) in self._used:
            redeemed = OfferStatus.ALREADY_REDEEMED
            return candidate.refused(5, "COUPON_ALREADY_REDEEMED", redeemed)
        return None

    def _over_limit(self, worth_minor: int) -> str:
        """Say which limit an unverified coupon of ``worth_minor`` would break; "": none."""
        limits = self._coupons.unverified
        if limits is None:
            return "nothing is taken unverified"
        if not self.view_current:
            return "the redemption view is too old"
        if worth_minor > limits.max_value_minor:
            return "worth too much for one coupon"
        if self._unverified_count >= limits.max_basket_count:
            return "too many in this basket"
        if self._unverified_minor + worth_minor > limits.max_basket_value_minor:
            return "worth too much for one basket"
        return ""

    def _accept(
        self, candidate: Candidate, coupon_ref: str, found: Found, discounts: dict[int, int]
    ) -> list[OfferResult]:
        match = self._match(candidate, found, discounts)
        self._claims.claim(found, candidate.terms.funder)
        use = candidate.use_of(self._household)
        if use:
            self._used.add(use)
        unverified = (Reason(code="COUPON_UNVERIFIED_OFFLINE"),)
        offers = [
            _offer(
                candidate.offer_id,
                coupon_ref,
                self._claims.take(discounts),
                status=(
                    OfferStatus.APPLIED if candidate.verified else OfferStatus.ACCEPTED_UNVERIFIED
                ),
                reasons=() if candidate.verified else unverified,
                redemption_key=candidate.redemption_key(self._household),
            )
        ]
        doubling = self._coupons.doubling
        if doubling is not None and match:
            matched = (Reason(code="COUPON_MATCHED"),)
            taken = self._claims.take(match)
            offers.append(
                _offer(
                    doubling.offer_id,
                    coupon_ref,
                    taken,
                    reasons=matched,
                    kind=DiscountKind.COUPON_MATCH,
                )
            )
        return offers

    def _match(
        self, candidate: Candidate, found: Found, discounts: dict[int, int]
    ) -> dict[int, int]:
        """Return what the store adds, by line, out of what the coupon leaves."""
        doubling = self._coupons.doubling
        if doubling is None or not candidate.terms.multipliable or not candidate.verified:
            return {}
        worth = self._claims.worth(found.valued)
        room = {number: most - discounts.get(number, 0) for number, most in worth.items()}
        return spread(doubling.match_minor(candidate.terms.value.amount_minor), room)


def _offer(
    offer_id: str,
    coupon_ref: str,
    allocations: tuple[LineAllocation, ...],
    *,
    reasons: tuple[Reason, ...],
    status: OfferStatus = OfferStatus.APPLIED,
    redemption_key: str = "",
    kind: DiscountKind = DiscountKind.COUPON,
) -> OfferResult:
    return OfferResult(
        kind=kind,
        offer_id=offer_id,
        status=status,
        coupon_ref=coupon_ref,
        discount_minor=sum(allocation.discount_minor for allocation in allocations),
        allocations=allocations,
        reasons=reasons,
        redemption_key=redemption_key,
    )
