"""What a presented coupon may be: its readings, each with window, households and terms.

A store coupon's code may stand in several campaigns; a GS1 coupon describes itself or is
looked up. Whoever it is, the engine sees a ``Candidate``, or a ``Refusal`` where the string
cannot be read or nobody knows it.
"""

from __future__ import annotations

from dataclasses import dataclass

from terminal_client.core.basket import CouponSymbology, DiscountKind, PresentedCoupon
from terminal_client.core.coupon_gs1 import needs_attendant, terms_of
from terminal_client.core.coupon_terms import Terms
from terminal_client.core.coupons import GS1_8110_OFFER, CouponBook, StoreCoupon
from terminal_client.core.decision import OfferResult, OfferStatus, Reason
from terminal_client.core.gs1 import Coupon8110, full_date, parse_8110, parse_8112, parse_gcn
from terminal_client.core.gs1_fields import Malformed
from terminal_client.core.redemptions import redemption_key

_FIRST_DATE, _LAST_DATE = 0, 9999_12_31


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a coupon is not taken; ``check`` is the number of the check that said so."""

    check: int
    offer_id: str
    status: OfferStatus
    reason: Reason

    def offer(self, coupon_ref: str) -> OfferResult:
        """Return the refusal as the answer to the coupon ``coupon_ref``."""
        return OfferResult(
            kind=DiscountKind.COUPON,
            offer_id=self.offer_id,
            status=self.status,
            coupon_ref=coupon_ref,
            reasons=(self.reason,),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One reading of a coupon.

    ``serial`` names one single coupon, used once by anybody; otherwise ``per_household`` says
    whether a household may use it once. ``objection``: a reason code that rules it out.
    """

    offer_id: str
    first_date: int
    last_date: int
    households: frozenset[str] | None
    terms: Terms
    serial: tuple[str, ...] = ()
    per_household: tuple[str, ...] = ()
    objection: str = ""
    verified: bool = True

    def use_of(self, household: str) -> tuple[str, ...]:
        """Return what is used up, as parts; empty: nothing is.

        An open campaign may serve nobody in particular: then only this basket remembers.
        """
        if self.serial:
            return self.serial
        return (*self.per_household, household) if self.per_household else ()

    def redemption_key(self, household: str) -> str:
        """Return the key to redeem, or "": nothing that outlives the basket."""
        if self.serial or (self.per_household and household):
            return redemption_key(*self.use_of(household))
        return ""

    def refused(
        self,
        check: int,
        code: str,
        status: OfferStatus = OfferStatus.NOT_ELIGIBLE,
        detail: str = "",
    ) -> Refusal:
        """Return the refusal of this candidate."""
        return Refusal(
            check=check,
            offer_id=self.offer_id,
            status=status,
            reason=Reason(code=code, detail=detail),
        )


def candidates_for(
    coupons: CouponBook, presented: PresentedCoupon, today: int
) -> tuple[Candidate, ...] | Refusal:
    """Return the readings of ``presented`` on ``today`` (``yyyymmdd``), at least one."""
    found: tuple[Candidate, ...]
    serial: tuple[str, ...]
    match presented.symbology:
        case CouponSymbology.GS1_8110:
            self_described = parse_8110(presented.data)
            if isinstance(self_described, Malformed):
                return _unreadable(self_described, GS1_8110_OFFER)
            return (_of_8110(coupons, self_described, today),)
        case CouponSymbology.GS1_8112:
            positive = parse_8112(presented.data)
            if isinstance(positive, Malformed):
                return _unreadable(positive)
            code = positive.funder + positive.offer_code
            serial = ("8112", positive.funder, positive.offer_code, positive.serial)
            known = coupons.known_as(presented.symbology, code)
            found = tuple(_of_store(coupon, serial, verified=False) for coupon in known)
        case CouponSymbology.GS1_255_GCN:
            number = parse_gcn(presented.data)
            if isinstance(number, Malformed):
                return _unreadable(number)
            serial = ("255", number.number, number.serial) if number.serial else ()
            known = coupons.known_as(presented.symbology, number.number)
            found = tuple(_of_store(coupon, serial) for coupon in known)
        case CouponSymbology.STORE:
            known = coupons.known_as(presented.symbology, presented.data)
            found = tuple(_of_store(coupon) for coupon in known)
        case _:
            found = ()
    return found or _UNKNOWN


_UNKNOWN = Refusal(
    check=1,
    offer_id="",
    status=OfferStatus.NOT_ELIGIBLE,
    reason=Reason(code="COUPON_UNKNOWN"),
)


def _unreadable(malformed: Malformed, offer_id: str = "") -> Refusal:
    return Refusal(
        check=1,
        offer_id=offer_id,
        status=OfferStatus.UNREADABLE,
        reason=Reason(
            code="COUPON_MALFORMED",
            detail=f"position {malformed.position}: {malformed.problem}",
        ),
    )


def _of_store(
    coupon: StoreCoupon, serial: tuple[str, ...] = (), *, verified: bool = True
) -> Candidate:
    campaign = coupon.campaign
    return Candidate(
        offer_id=coupon.offer_id,
        first_date=campaign.first_date,
        last_date=campaign.last_date,
        households=campaign.households,
        terms=coupon.terms,
        serial=serial,
        per_household=(campaign.campaign_id, coupon.coupon_code) if campaign.one_use else (),
        verified=verified,
    )


def _of_8110(coupons: CouponBook, coupon: Coupon8110, today: int) -> Candidate:
    tables = coupons.gs1
    objection = ""
    if coupon.retailer and coupon.retailer not in tables.retailer_ids:
        objection = "COUPON_OTHER_RETAILER"
    elif needs_attendant(coupon):
        objection = "COUPON_NEEDS_ATTENDANT"
    return Candidate(
        offer_id=GS1_8110_OFFER,
        first_date=full_date(coupon.starts, today) if coupon.starts else _FIRST_DATE,
        last_date=full_date(coupon.expires, today) if coupon.expires else _LAST_DATE,
        households=None,
        terms=terms_of(coupon, tables),
        serial=(
            ("8110", coupon.company, coupon.offer_code, coupon.serial) if coupon.serial else ()
        ),
        objection=objection,
    )
