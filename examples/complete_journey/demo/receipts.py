"""Real receipts as a register would have sent them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from examples.complete_journey.coupons import read_redemptions
from examples.complete_journey.replay import ReplayBasket, ReplayLine
from examples.complete_journey.rules_source import TIME_ZONE, monday
from terminal_client.core.basket import (
    AppliedDiscount,
    Basket,
    CouponSymbology,
    DiscountKind,
    EntryMethod,
    ItemIdType,
    LineItem,
    PresentedCoupon,
    TransactionRef,
    TransactionType,
)

CURRENCY = "USD"

HouseholdDay = tuple[str, date]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One real basket, the coupons its household redeemed that day, and the week it is in."""

    basket: ReplayBasket
    coupons: tuple[PresentedCoupon, ...]
    week: int

    @property
    def truth(self) -> dict[int, bool]:
        """Per line number: the receipt shows a loyalty discount. Lines sold only."""
        return {
            number: line.loyalty_minor > 0
            for number, line in enumerate(self.basket.lines, start=1)
            if line.shelf_minor is not None
        }


def week_of(day: date) -> int:
    """Return the data set's week of a date in 2017."""
    return (day - monday(2)).days // 7 + 2


def receipts(baskets: Iterable[ReplayBasket]) -> list[Receipt]:
    """Return ``baskets`` with their coupons, in order.

    A redemption names a household and a day, no basket: the coupons go into the
    household's first basket of the day.
    """
    waiting = _redeemed()
    return [
        Receipt(
            basket=basket,
            coupons=waiting.pop((str(basket.household), basket.local_time.date()), ()),
            week=week_of(basket.local_time.date()),
        )
        for basket in baskets
    ]


def as_basket(receipt: Receipt, lane: str, line_count: int | None = None) -> Basket:
    """Return the basket after ``line_count`` lines, or the whole one with its coupons."""
    replayed = receipt.basket
    whole = line_count is None
    at = replayed.local_time.replace(tzinfo=ZoneInfo(TIME_ZONE)).astimezone(UTC)
    lines = replayed.lines if whole else replayed.lines[:line_count]
    return Basket(
        transaction=TransactionRef(
            store_id=str(replayed.store),
            workstation_id=lane,
            business_day_date=replayed.local_time.date().isoformat(),
            sequence_number=replayed.basket % 2**31,
            basket_id=str(replayed.basket),
        ),
        transaction_type=TransactionType.SALE,
        currency_code=CURRENCY,
        lines=tuple(_line(number, line, at) for number, line in enumerate(lines, start=1)),
        coupons=receipt.coupons if whole else (),
        loyalty_token=str(replayed.household),
        terminal_time=at,
        evaluation_time=at,
        basket_revision=len(lines),
    )


def _line(number: int, line: ReplayLine, at: datetime) -> LineItem:
    shelf_minor = line.shelf_minor
    taken: Mapping[DiscountKind, int] = {
        DiscountKind.LOYALTY: line.loyalty_minor,
        DiscountKind.COUPON: line.coupon_minor,
        DiscountKind.COUPON_MATCH: line.match_minor,
    }
    return LineItem(
        line_number=number,
        item_id=str(line.product),
        item_id_type=ItemIdType.SKU,
        quantity_milli=line.quantity * 1000,
        unit_code="EA",
        regular_unit_price_minor=shelf_minor or 0,
        actual_unit_price_minor=shelf_minor or 0,
        extended_minor=line.net_minor - line.coupon_minor,
        entry_method=EntryMethod.SCANNED,
        entered_time=at,
        discounts=tuple(
            AppliedDiscount(kind=kind, amount_minor=minor) for kind, minor in taken.items() if minor
        ),
    )


def _redeemed() -> dict[HouseholdDay, tuple[PresentedCoupon, ...]]:
    found: dict[HouseholdDay, list[PresentedCoupon]] = defaultdict(list)
    for real in read_redemptions():
        key = real.household, date.fromisoformat(real.date)
        found[key].append(
            PresentedCoupon(
                coupon_ref=f"c{len(found[key]) + 1}",
                symbology=CouponSymbology.STORE,
                data=f"{real.campaign}:{real.coupon}",
                entry_method=EntryMethod.SCANNED,
            )
        )
    return {key: tuple(coupons) for key, coupons in found.items()}
