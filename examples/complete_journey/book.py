"""The weekly price book of one store: the tables a gateway looks features up in.

The book of week ``w`` knows everything up to the Sunday before it. Its tables hold exactly
the numbers the models were trained on: float32, nothing quantised.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from examples.complete_journey.anomaly_contract import PRICE_COLUMNS
from examples.complete_journey.artifacts import Table
from examples.complete_journey.contract import CHAIN_COLUMNS, PLAN_COLUMNS, STORE_COLUMNS
from examples.complete_journey.dataset import LAST_TRAIN_WEEK, week_end
from examples.complete_journey.history import Ints
from examples.complete_journey.promo_features import Histories, chain_columns, store_columns
from examples.complete_journey.promo_plan import store_plan

UNITS = {
    "_n": "lines",
    "_r": "share of lines with a loyalty discount, 0..1",
    "price_minor": "cents, mean shelf price",
    "mc_id": "opaque id of manufacturer x category, a key of the gateway's own log",
    "priv": "1 = private label",
    "_minor": "cents",
    "qty_p98": "units",
    "coupon_share": "share of lines with a coupon, 0..1",
    "multi_share": "share of lines of more than one unit, 0..1",
    "discount_depth": "mean loyalty discount of discounted lines as a share of the price, 0..1",
    "mail": "index into the contract's codes.mail",
    "disp": "index into the contract's codes.disp",
}


def sunday(week: int) -> date:
    """Return the last day of a week (week 1 is 2017-01-01 alone)."""
    return date(2016, 12, 31) + timedelta(days=int(week_end(week)))


def chain_table(histories: Histories, week: int) -> Table:
    """Return the chain-wide table of the book of ``week``, a row per item-master product."""
    master = histories.panel.master
    product, type_id, mc_id = (
        master[name].to_numpy().astype(np.int64) for name in ("product", "type_id", "mc_id")
    )
    end = np.full(len(product), week_end(week - 1))
    columns = chain_columns(histories, product, type_id, mc_id, end)
    columns["mc_id"] = np.where(mc_id >= 0, mc_id, np.nan)
    columns["priv"] = master["private"].to_numpy().astype(np.float64)
    values = np.stack([columns[name] for name in CHAIN_COLUMNS], axis=1)
    return _table("chain", product, values, CHAIN_COLUMNS, _as_of(week))


def store_table(histories: Histories, store: int, week: int) -> Table:
    """Return the store's own table of the book of ``week``: what it sold in 8 weeks."""
    product = histories.panel.master["product"].to_numpy().astype(np.int64)
    end = np.full(len(product), week_end(week - 1))
    columns = store_columns(histories, product, np.full(len(product), store), end)
    sold = columns["s8_n"] > 0
    values = np.stack([columns[name] for name in STORE_COLUMNS], axis=1)
    meta = {**_as_of(week), "store": store}
    return _table("store", product[sold], values[sold], STORE_COLUMNS, meta)


def plan_table(store: int, week: int) -> Table:
    """Return the store's promotion plan of one week; known before the week starts."""
    plan = store_plan(store, (week, week))
    meta = {
        "store": store,
        "week": week,
        "first_day": (sunday(week) - timedelta(days=6)).isoformat(),
        "last_day": sunday(week).isoformat(),
        # Fixed when it is printed, so it knows nothing of its own week's sales.
        "as_of": sunday(week - 1).isoformat(),
    }
    values = plan.select(PLAN_COLUMNS).to_numpy()
    return _table("plan", plan["product"].to_numpy(), values, PLAN_COLUMNS, meta)


def prices_book(statistics: pl.DataFrame) -> Table:
    """Return the price-habit table of ``anomaly.price_statistics`` up to week 40."""
    values = statistics.select(PRICE_COLUMNS).fill_null(float("nan")).to_numpy()
    meta = {"as_of": sunday(LAST_TRAIN_WEEK).isoformat(), "week": LAST_TRAIN_WEEK}
    product = statistics["product"].to_numpy().astype(np.int64)
    return _table("prices", product, values.astype(np.float64), PRICE_COLUMNS, meta)


def _as_of(week: int) -> dict[str, object]:
    return {"week": week, "as_of": sunday(week - 1).isoformat()}


def _table(
    name: str,
    product: Ints,
    values: npt.NDArray[np.float64],
    columns: tuple[str, ...],
    meta: dict[str, object],
) -> Table:
    keys = product.astype(np.bytes_)
    order = np.argsort(keys)
    units = {column: _unit(column) for column in columns}
    described = {"table": name, "columns": list(columns), "units": units, **meta}
    return Table(keys[order], values[order].astype(np.float32), described)


def _unit(column: str) -> str:
    """Return a column's unit: its own entry, or that of its ending."""
    endings = (column, "_" + column.rpartition("_")[2])
    return next(UNITS[ending] for ending in endings if ending in UNITS)
