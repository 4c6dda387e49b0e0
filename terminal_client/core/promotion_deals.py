"""What one promotion takes off, given what is left on its lines.

Pure arithmetic on segments: integers, one rounding per line or set, and a total order of units
(price of a unit, line number), so that the order of lines in the basket changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from terminal_client.core.money import share_out
from terminal_client.core.promotion_buy_get import buy_get_takes
from terminal_client.core.promotion_model import Promotion
from terminal_client.core.promotion_offers import BuyGet, LineOffer, SetOffer, Threshold
from terminal_client.core.promotion_pool import Pot, Segment, Take, segments
from terminal_client.core.promotion_sets import set_takes

Roles = tuple[tuple[int, ...], ...]
"""The lines in each role of an offer, ascending: items; buy, get; parts; counted, rewarded."""


@dataclass(frozen=True, slots=True)
class Deal:
    """What a promotion does to the lines; ``discount`` is above zero and the takes' sum."""

    takes: tuple[Take, ...]
    discount: int
    capped: bool = False


def deal_of(promotion: Promotion, roles: Roles, pots: Mapping[int, Pot]) -> Deal | None:
    """Return what ``promotion`` takes off, or None: it does not apply or takes nothing off."""
    found = [segments(pots, numbers, promotion.stackable) for numbers in roles]
    takes = _takes(promotion, found)
    discount = sum(take.discount for take in takes)
    if not discount:
        return None
    most = promotion.max_discount_minor
    if most is None or discount <= most:
        return Deal(tuple(takes), discount)
    shares = share_out(most, [take.discount for take in takes])
    capped = tuple(take._replace(discount=share) for take, share in zip(takes, shares, strict=True))
    return Deal(capped, most, capped=True) if most else None


def missing(promotion: Promotion, roles: Roles, pots: Mapping[int, Pot]) -> str:
    """Say what the lines lack for the promotion to be reached; empty: nothing."""
    found = [segments(pots, numbers, promotion.stackable) for numbers in roles]
    offer = promotion.offer
    if isinstance(offer, Threshold):
        short = offer.spend_minor - sum(segment.money for segment in found[0])
        return f"{short} minor units short" if short > 0 else ""
    if isinstance(offer, SetOffer):
        short = sum(
            max(0, part.quantity_milli - _units(pool))
            for part, pool in zip(offer.parts, found, strict=True)
        )
    elif isinstance(offer, BuyGet):
        buy, get = offer.buy.quantity_milli, offer.get.quantity_milli
        union = _units(set(found[0]) | set(found[1]))
        short = max(buy - _units(found[0]), get - _units(found[1]), buy + get - union)
    else:
        return ""
    return f"{short} thousandths short" if short > 0 else ""


def _takes(promotion: Promotion, found: list[list[Segment]]) -> list[Take]:
    most, offer = promotion.max_applications, promotion.offer
    if isinstance(offer, LineOffer):
        return _line_takes(offer, found[0], most)
    if isinstance(offer, BuyGet):
        return buy_get_takes(offer, found[0], found[1], most)
    if isinstance(offer, SetOffer):
        return set_takes(offer, found, most)
    return _threshold_takes(offer, found[0], found[1], most)


def _line_takes(offer: LineOffer, found: Sequence[Segment], most: int | None) -> list[Take]:
    """Reward every unit; under a limit the dearest ones, so many prices' worth."""
    reward = offer.reward
    left = sum(segment.units for segment in found)
    if most is not None:
        left = min(left, most * reward.price.quantity_milli)
        found = sorted(found, key=attrgetter("dearest"))
    takes = []
    for segment in found:
        units = min(left, segment.units)
        value = segment.value(units)
        discount = reward.off_units(value, units)
        if discount:
            takes.append(Take(segment, units, value, discount))
            left -= units
    return takes


def _threshold_takes(
    offer: Threshold, counted: Sequence[Segment], rewarded: Sequence[Segment], most: int | None
) -> list[Take]:
    times = sum(segment.money for segment in counted) // offer.spend_minor
    times = times if most is None else min(times, most)
    if not times:
        return []
    weights = [segment.money for segment in rewarded]
    shares = share_out(offer.reward.off_sets(sum(weights), times), weights)
    discounts = dict(zip(rewarded, shares, strict=True))
    return [
        Take(segment, segment.units, segment.money, discount)
        # What was counted is used as well: another promotion may not count it again.
        for segment, discount in {**dict.fromkeys(counted, 0), **discounts}.items()
    ]


def _units(found: Iterable[Segment]) -> int:
    return sum(segment.units for segment in found)
