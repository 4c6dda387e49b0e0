"""The weekly promotion plan: which product is in the mailer or on display, where, when.

The plan is assumed known before its week starts. Codes keep the data's own letters; the
model sees their index in ``MAIL_CODES`` and ``DISPLAY_CODES``, where ``-`` (index 0)
means "not in this store's plan" and ``0`` "listed, but not in the mailer / on display".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from examples.complete_journey.dataset import scan

MAIL_CODES = ("-", "0", "A", "C", "D", "F", "H", "J", "L", "P", "X", "Z")
DISPLAY_CODES = ("-", "0", "1", "2", "3", "4", "5", "6", "7", "9", "A")
NOT_LISTED = 0
FIRST_MAILED = 2
"""Smallest mail index that means "in the mailer"."""


def _deduplicated(plan: pl.LazyFrame) -> pl.LazyFrame:
    """One row per (product, store, week); 12,785 keys appear twice in the source.

    The larger index wins: being somewhere beats being nowhere, then the later letter, so
    the outcome does not depend on the file's order.
    """
    codes = plan.select(
        product=pl.col("product_id"),
        store=pl.col("store_id"),
        week=pl.col("week"),
        mail=_index_of("mailer_location", MAIL_CODES),
        disp=_index_of("display_location", DISPLAY_CODES),
    )
    return codes.group_by("product", "store", "week").agg(pl.max("mail"), pl.max("disp"))


def _index_of(column: str, codes: tuple[str, ...]) -> pl.Expr:
    return pl.col(column).replace_strict(codes, range(len(codes)), return_dtype=pl.Int64)


def store_plan(store: int, weeks: tuple[int, int]) -> pl.DataFrame:
    """Return one store's plan for a span of weeks: product, week, mail, disp (sorted)."""
    rows = scan("promotions").filter(
        (pl.col("store_id") == store) & pl.col("week").is_between(*weeks)
    )
    plan = _deduplicated(rows).select("product", "week", "mail", "disp")
    return plan.sort("week", "product").collect()


def codes_for_lines(lines: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Return the plan's (mail, disp) index for every line, shape [n, 2].

    NaN = the store publishes no plan that week, so nothing is known; 0 = it publishes one
    and the product is not in it.
    """
    keys = lines.lazy().select("product", "store", "week")
    wanted = keys.unique().rename({"product": "product_id", "store": "store_id"})
    listed = _deduplicated(
        scan("promotions").join(wanted, on=["product_id", "store_id", "week"], how="semi")
    )
    planned = (scan("promotions").select(store="store_id", week="week").unique()).with_columns(
        planned=pl.lit(True)
    )
    joined = (
        keys.with_row_index()
        .join(listed, on=["product", "store", "week"], how="left")
        .join(planned, on=["store", "week"], how="left")
        .sort("index")
        .select(
            pl.when("planned").then(pl.col(name).fill_null(NOT_LISTED)).cast(pl.Float64)
            for name in ("mail", "disp")
        )
        .collect(engine="streaming")
    )
    return joined.fill_null(float("nan")).to_numpy()
