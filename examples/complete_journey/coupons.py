"""Campaign coupons: the real campaigns, coupons and redemptions, in a neutral structure.

``artifacts/rules/campaigns.json.gz`` holds what a rules publisher needs::

    {"campaigns": [{"campaign_id", "type", "start_date", "end_date", "households": []}],
     "coupons": [{"coupon_upc", "campaign_id", "product_ids": []}]}

``redemptions.jsonl.gz`` the 2,102 real redemptions in chronological order, and
``household-days.jsonl.gz`` what each of those households bought that day, all its baskets
merged (a redemption names no basket). ``coupon-lines.json.gz`` holds every receipt line
with a coupon: [coupon discount, coupon match, quantity], cents for the whole line.
Identifiers are decimal strings, dates ISO, both ends of a window included.

Reading needs no training package; ``coupon_source.py`` derives the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from examples.complete_journey.artifacts import RULES, read_json, read_lines

CAMPAIGNS = RULES / "campaigns.json.gz"
REDEMPTIONS = RULES / "redemptions.jsonl.gz"
HOUSEHOLD_DAYS = RULES / "household-days.jsonl.gz"
COUPON_LINES = RULES / "coupon-lines.json.gz"


@dataclass(frozen=True)
class Redemption:
    """One real redemption, with everything its household bought that day.

    ``lines``: [product, qty, net_cents, loy_cents, cpn_cents, match_cents] each.
    """

    household: str
    coupon: str
    campaign: str
    date: str
    lines: tuple[tuple[int, int, int, int, int, int], ...]


def read_campaigns() -> dict[str, Any]:
    """Return campaigns and coupons as documented at the top of this module."""
    content: dict[str, Any] = read_json(CAMPAIGNS)
    return content


def read_redemptions() -> Iterator[Redemption]:
    """Yield the real redemptions in chronological order with their household-days."""
    days = {
        (day["household"], day["date"]): tuple(tuple(line) for line in day["lines"])
        for day in read_lines(HOUSEHOLD_DAYS)
    }
    for item in read_lines(REDEMPTIONS):
        lines = days[item["household"], item["date"]]
        yield Redemption(item["household"], item["coupon"], item["campaign"], item["date"], lines)


def read_coupon_lines() -> list[tuple[int, int, int]]:
    """Return (coupon_disc, match, quantity) of every receipt line with a coupon."""
    return [tuple(line) for line in read_json(COUPON_LINES)]
