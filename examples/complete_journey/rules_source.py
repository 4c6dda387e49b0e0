"""The demo store's rules, as its authors write them: policy, rules, coupons and tables.

Everything comes from committed files; the rules publisher turns it into a signed bundle.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cloud_sync.publisher.rules_bundle import RulesSource
from examples.complete_journey.artifacts import BOOK_WEEKS, DEMO_STORE, STORE, read_json
from examples.complete_journey.coupons import read_campaigns
from examples.complete_journey.fallback import fallback_tables
from terminal_client.core.item_sets import write_steps

TIME_ZONE = "America/New_York"
POLICY = Path(__file__).parent / "policy.json"
RULES = Path(__file__).parent / "rules.json"
_FIRST_MONDAY = date(2017, 1, 2)


def monday(week: int) -> date:
    """Return the Monday of the data set's ``week`` (week 1 is 2017-01-01 alone)."""
    return _FIRST_MONDAY + timedelta(weeks=week - 2)


def book_time(week: int) -> datetime:
    """Return as of when the price book of ``week`` speaks: the Sunday before, store time."""
    sunday = monday(week) - timedelta(days=1)
    return datetime(sunday.year, sunday.month, sunday.day, tzinfo=ZoneInfo(TIME_ZONE))


def rules_source(week: int, workflows: list[str] | None = None) -> RulesSource:
    """Return what the store's rules bundle of ``week`` is built from.

    The plan covers ``week`` and, where a book of it exists, the week after: it ships ahead.
    """
    tables = fallback_tables(week)
    weeks = [tables] + ([fallback_tables(week + 1)] if week + 1 in BOOK_WEEKS else [])
    policy = store_policy()
    if workflows is not None:
        policy["workflows"] = {name: policy["workflows"][name] for name in workflows}
    return RulesSource(
        name="rules",
        version=f"1.{week}.0",
        as_of=book_time(week),
        store_id=str(DEMO_STORE),
        time_zone=TIME_ZONE,
        policy=policy,
        rules=read_json(RULES),
        coupons=coupon_document(),
        tables={
            "price": {
                "plan": [
                    {
                        "first_date": yyyymmdd(each["plan_first_day"]),
                        "last_date": yyyymmdd(each["plan_last_day"]),
                        "items": each["plan_yes"],
                    }
                    for each in weeks
                ],
                "majority": tables["majority_yes"],
            },
            "recommendation": {"items": tables["top_sellers"], "count": 5},
        },
    )


def store_policy() -> dict[str, Any]:
    """Return the policy, with the bands that were picked on the validation weeks.

    The anomaly model is trusted on a fresh book alone: its one threshold was picked there.
    """
    policy: dict[str, Any] = read_json(POLICY)
    picked = read_json(STORE / "bands.json")
    policy["workflows"]["price_check"]["edge_bands"] = [
        {
            "age_days_max": band["age_days_max"],
            "low": round(1 - band["accept_confidence"], 6),
            "high": band["accept_confidence"],
            "missing": ["plan"] if band["plan"] == "missing" else [],
        }
        for band in picked["bands"]
    ]
    threshold = read_json(STORE / "receipt_anomaly.bands.json")["review_above"]
    policy["workflows"]["transaction_scoring"]["edge_bands"] = [
        {"age_days_max": 7, "low": threshold, "high": threshold}
    ]
    return policy


def coupon_document() -> dict[str, Any]:
    """Return the real campaigns as a bundle's ``coupons`` document.

    What a coupon is worth is left out: the data set records it per receipt line, not per
    redemption, so the bundle judges eligibility alone.
    """
    source = read_campaigns()
    items = sorted({item for coupon in source["coupons"] for item in coupon["product_ids"]})
    positions = {item: index for index, item in enumerate(items)}
    return {
        "items": items,
        "campaigns": [
            {
                "campaign_id": campaign["campaign_id"],
                "first_date": yyyymmdd(campaign["start_date"]),
                "last_date": yyyymmdd(campaign["end_date"]),
                "households": campaign["households"],
            }
            for campaign in source["campaigns"]
        ],
        "store_coupons": [
            {
                "coupon_code": coupon["coupon_upc"],
                "campaign_id": coupon["campaign_id"],
                "item_ids": write_steps(positions, coupon["product_ids"]),
                "value": {"kind": "none"},
            }
            for coupon in source["coupons"]
        ],
    }


def yyyymmdd(iso_date: str) -> int:
    """Return an ISO date as a number."""
    return int(iso_date.replace("-", ""))
