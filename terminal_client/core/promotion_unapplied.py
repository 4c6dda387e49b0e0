"""Promotions that take nothing off, and which of them an answer tells of.

A bundle holds hundreds of promotions and a basket earns a few; listing all the others would only
make answers long. Told are those that the register has booked from an earlier answer (it must
take them back), those that the household was promised (targeted), and those that are near: some
of what they ask for is in the basket.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from terminal_client.core.basket import DiscountKind
from terminal_client.core.decision import OfferResult, OfferStatus, Reason
from terminal_client.core.promotion_model import Promotion

MOST_UNAPPLIED = 16
"""Offers told of though they take nothing off: the answer stays small."""


class Cause(StrEnum):
    """Why a promotion takes nothing off: its reason code."""

    ELIGIBILITY_ERROR = "PROMOTION_ELIGIBILITY_ERROR"
    LIMITED = "PROMOTION_LIMITED"
    NO_ITEM = "PROMOTION_NO_ITEM"
    NO_SAVING = "PROMOTION_NO_SAVING"
    NOT_ELIGIBLE = "PROMOTION_NOT_ELIGIBLE"
    NOT_REACHED = "PROMOTION_NOT_REACHED"
    NOT_TARGETED = "PROMOTION_NOT_TARGETED"
    OUTSIDE_WINDOW = "PROMOTION_OUTSIDE_WINDOW"
    SUPERSEDED = "PROMOTION_SUPERSEDED"


_NOT_TOLD = frozenset({Cause.NO_ITEM, Cause.NOT_TARGETED, Cause.LIMITED})
"""Causes that say nothing to a household, targeted or not."""


@dataclass(frozen=True, slots=True)
class Unapplied:
    """A promotion that takes nothing off, and why; ``detail`` says what is missing."""

    promotion: Promotion
    cause: Cause
    detail: str = ""

    def worth_telling(self) -> bool:
        """Tell whether it was promised to the household, or is near."""
        if self.cause is Cause.NOT_REACHED:
            return True
        return bool(self.promotion.segments) and self.cause not in _NOT_TOLD

    def result(self) -> OfferResult:
        """Return it as the answer tells it."""
        expired = self.cause is Cause.OUTSIDE_WINDOW
        return OfferResult(
            kind=DiscountKind.PROMOTION,
            offer_id=self.promotion.offer_id,
            status=OfferStatus.EXPIRED if expired else OfferStatus.NOT_ELIGIBLE,
            reasons=(Reason(code=self.cause.value, detail=self.detail),),
        )


def told(unapplied: Collection[Unapplied], booked: Collection[str]) -> tuple[OfferResult, ...]:
    """Return what an answer tells: the booked first, then the others, each in their order."""
    taken_back = [one for one in unapplied if one.promotion.offer_id in booked]
    others = [
        one for one in unapplied if one.promotion.offer_id not in booked and one.worth_telling()
    ]
    taken_back.sort(key=_order)
    others.sort(key=_order)
    return tuple(one.result() for one in [*taken_back, *others][:MOST_UNAPPLIED])


def _order(one: Unapplied) -> tuple[int, int, bool, str]:
    return (one.promotion.phase, *one.promotion.order)
