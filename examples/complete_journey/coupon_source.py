"""Derive the committed coupon files from the package; ``coupons.py`` documents them."""

from __future__ import annotations

from typing import Any

import polars as pl

from examples.complete_journey.artifacts import write_json, write_lines
from examples.complete_journey.coupons import (
    CAMPAIGNS,
    COUPON_LINES,
    HOUSEHOLD_DAYS,
    REDEMPTIONS,
)
from examples.complete_journey.dataset import scan

_LINE = ("product", "qty", "net_c", "loy_c", "cpn_c", "match_c")


def redemption_frame() -> pl.DataFrame:
    """Return the real redemptions: household, coupon, campaign, date, chronological."""
    return (
        scan("coupon_redemptions")
        .select(
            household=pl.col("household_id"),
            coupon=pl.col("coupon_upc"),
            campaign=pl.col("campaign_id"),
            date=pl.col("redemption_date").dt.date(),
        )
        .sort("date", "household", "coupon", "campaign")
        .collect()
    )


def write_coupons(raw: pl.DataFrame) -> None:
    """Derive the four committed files from the package and the raw receipt lines."""
    write_json(CAMPAIGNS, {"campaigns": _campaigns(), "coupons": _coupons()})
    redemptions = redemption_frame()
    text = redemptions.with_columns(pl.exclude("date").cast(pl.String), pl.col("date").cast(str))
    write_lines(REDEMPTIONS, text.to_dicts())
    days = redemptions.select("household", "date").unique()
    bought = (
        raw.with_columns(date=pl.col("ts").dt.date())
        .join(days, on=["household", "date"], how="semi")
        .sort("date", "household", *_LINE)
        .group_by("date", "household", maintain_order=True)
        .agg(*_LINE)
    )
    write_lines(HOUSEHOLD_DAYS, [_household_day(row) for row in bought.iter_rows(named=True)])
    write_json(COUPON_LINES, [list(row) for row in coupon_line_frame(raw).iter_rows()])


def coupon_line_frame(raw: pl.DataFrame) -> pl.DataFrame:
    """Return cpn_c, match_c, qty of every receipt line with a coupon."""
    return raw.filter(pl.col("cpn_c") > 0).select("cpn_c", "match_c", "qty")


def _campaigns() -> list[dict[str, Any]]:
    sent = scan("campaigns").group_by("campaign_id").agg(pl.col("household_id").sort())
    described = scan("campaign_descriptions").join(sent, on="campaign_id", how="left")
    rows = described.sort("campaign_id").collect()
    return [
        {
            "campaign_id": str(row["campaign_id"]),
            "type": row["campaign_type"],
            "start_date": row["start_date"].date().isoformat(),
            "end_date": row["end_date"].date().isoformat(),
            "households": [str(household) for household in row["household_id"]],
        }
        for row in rows.iter_rows(named=True)
    ]


def _coupons() -> list[dict[str, Any]]:
    rows = (
        scan("coupons")
        .group_by("coupon_upc", "campaign_id")
        .agg(pl.col("product_id").unique().sort())
        .sort("campaign_id", "coupon_upc")
        .collect()
    )
    return [
        {
            "coupon_upc": str(row["coupon_upc"]),
            "campaign_id": str(row["campaign_id"]),
            "product_ids": [str(product) for product in row["product_id"]],
        }
        for row in rows.iter_rows(named=True)
    ]


def _household_day(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "household": str(row["household"]),
        "date": row["date"].isoformat(),
        "lines": [list(line) for line in zip(*(row[name] for name in _LINE), strict=True)],
    }
