"""Facts of the raw data, recomputed with polars alone: an independent check of the rules.

Nothing here uses the rule engine; the counts are what any correct engine must reproduce.
"""

from __future__ import annotations

import polars as pl

from examples.complete_journey.coupon_source import coupon_line_frame, redemption_frame
from examples.complete_journey.dataset import scan


def redemption_facts(raw: pl.DataFrame) -> dict[str, int]:
    """Return how many of the 2,102 real redemptions satisfy each rule, and the verdicts.

    A redemption counts as used up whatever its verdict: it did happen. Whether a qualifying
    item was bought is asked first, whether the coupon was redeemed before second.
    """
    redemptions = redemption_frame().with_row_index()
    member = scan("coupons").select(coupon="coupon_upc", campaign="campaign_id").unique()
    sent = scan("campaigns").select(campaign="campaign_id", household="household_id").unique()
    windows = scan("campaign_descriptions").select(
        campaign=pl.col("campaign_id"),
        start=pl.col("start_date").dt.date(),
        end=pl.col("end_date").dt.date(),
    )
    bought = raw.lazy().select("household", "product", date=pl.col("ts").dt.date()).unique()
    rows = redemptions.lazy()
    qualifying = (
        rows.join(
            scan("coupons").select(
                coupon="coupon_upc", campaign="campaign_id", product="product_id"
            ),
            on=["coupon", "campaign"],
        )
        .join(bought, on=["household", "product", "date"], how="semi")
        .select("index")
        .unique()
        .collect()["index"]
    )
    window = rows.join(windows, on="campaign").filter(
        pl.col("date").is_between(pl.col("start"), pl.col("end"))
    )
    shopped = bought.select("household", "date").unique()
    verdicts = redemptions.with_columns(
        qualifies=pl.col("index").is_in(qualifying.to_list()),
        repeated=pl.int_range(pl.len()).over("household", "coupon", "campaign") > 0,
    )
    qualifies, repeated = pl.col("qualifies"), pl.col("repeated")
    return {
        "redemptions": redemptions.height,
        "coupon_in_campaign": _count(rows.join(member, on=["coupon", "campaign"], how="semi")),
        "household_was_sent_it": _count(rows.join(sent, on=["campaign", "household"], how="semi")),
        "date_in_window": _count(window),
        "household_shopped": _count(rows.join(shopped, on=["household", "date"], how="semi")),
        "ok": verdicts.filter(qualifies & ~repeated).height,
        "no_qualifying_item": verdicts.filter(~qualifies).height,
        "already_redeemed": verdicts.filter(qualifies & repeated).height,
    }


def doubling_facts(raw: pl.DataFrame) -> dict[str, int]:
    """Return how many coupon lines follow the store's doubling rule to the cent.

    A coupon up to 50 cents is doubled, up to a dollar it is raised to a dollar.
    """
    face, match = pl.col("cpn_c"), pl.col("match_c")
    expected = pl.when(face <= 50).then(face).when(face < 100).then(100 - face).otherwise(0)
    lines = coupon_line_frame(raw)
    return {"coupon_lines": lines.height, "doubled": lines.filter(match == expected).height}


def _count(rows: pl.LazyFrame) -> int:
    return rows.collect().height
