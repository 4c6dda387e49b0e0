"""Receipt anomaly: which lines of this receipt deserve a second look?

Trained and measured on the SYNTHETIC overlay of ``overlay.py``; there is no real label. The
edge model is a boosted tree ensemble, the isolation forest its unsupervised yardstick, the
rule what a register does alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.ensemble import IsolationForest

from examples.complete_journey.anomaly_contract import (
    ANOMALY_COLUMNS,
    FALLING,
    PRICE_COLUMNS,
    RISING,
)
from examples.complete_journey.dataset import LAST_TRAIN_WEEK, Panel, week_end
from examples.complete_journey.history import Ints
from examples.complete_journey.promo_features import Histories, chain_columns, store_columns
from examples.complete_journey.promo_plan import codes_for_lines

VERSION = "1.0.0"
HISTORY_WEEKS = 26
"""Training's price statistics come from weeks 1-26, its overlay from weeks 27-40."""
FEWEST_LINES = 5
FOREST_ROWS = 100_000

_SETTINGS = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 50,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbose": -1,
}
ROUNDS = 120

_FOREST_COLUMNS = (
    "due_p5", "due_p98", "shelf_p5", "shelf_p50", "coupon_of_gross", "loyalty_of_gross",
    "qty_habit",
)  # fmt: skip

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def price_statistics(lines: pl.DataFrame, last_week: int) -> pl.DataFrame:
    """Return each product's price, quantity and coupon habits up to ``last_week``.

    Products with fewer than 5 lines are left out. Columns: product and ``PRICE_COLUMNS``.
    """
    due = pl.col("net_c") - pl.col("cpn_c")
    depth = pl.col("loy_c") / (pl.col("net_c") + pl.col("loy_c") + pl.col("match_c"))
    return (
        lines.filter(pl.col("week") <= last_week)
        .group_by("product")
        .agg(
            count=pl.len(),
            p5_minor=pl.col("shelf_c").quantile(0.05, "lower"),
            p50_minor=pl.col("shelf_c").quantile(0.5, "lower"),
            due_p5_minor=due.quantile(0.05, "lower"),
            due_p50_minor=due.quantile(0.5, "lower"),
            due_p98_minor=due.quantile(0.98, "higher"),
            qty_p98=pl.col("qty").quantile(0.98, "higher"),
            coupon_share=(pl.col("cpn_c") > 0).mean().round(3),
            multi_share=(pl.col("qty") > 1).mean().round(3),
            discount_depth=depth.filter(pl.col("loy_c") > 0).mean().round(3),
        )
        .filter(pl.col("count") >= FEWEST_LINES)
        .select("product", *PRICE_COLUMNS)
        .sort("product")
    )


@dataclass(frozen=True)
class AnomalyFeatures:
    """Builds anomaly rows for any receipt lines, real or overlaid."""

    histories: Histories

    @property
    def panel(self) -> Panel:
        """Return the panel behind the histories."""
        return self.histories.panel

    def matrix(self, lines: pl.DataFrame, statistics: pl.DataFrame) -> Matrix:
        """Return float32 [len(lines), columns] in the order of ``ANOMALY_COLUMNS``."""
        take = {
            name: lines[name].to_numpy().astype(np.int64)
            for name in (
                "product",
                "type_id",
                "mc_id",
                "store",
                "week",
                "shelf_c",
                "qty",
                "net_c",
                "loy_c",
                "cpn_c",
                "match_c",
                "private",
            )
        }
        end = week_end(take["week"] - 1)
        book = chain_columns(self.histories, take["product"], take["type_id"], take["mc_id"], end)
        own = store_columns(self.histories, take["product"], take["store"], end)
        habits = lines.select("product").join(
            statistics, on="product", how="left", maintain_order="left"
        )
        habit = {n: habits[n].cast(pl.Float64).fill_null(np.nan).to_numpy() for n in PRICE_COLUMNS}
        columns = _line_columns(take) | habit
        columns |= {name: book[name] for name in ("c1_r", "c4_r")}
        columns["mail"] = codes_for_lines(lines)[:, 0]
        columns["priv"] = take["private"].astype(np.float64)
        due = take["net_c"] - take["cpn_c"]
        for name, over, under in (
            ("shelf_p5", take["shelf_c"], habit["p5_minor"]),
            ("shelf_p50", take["shelf_c"], habit["p50_minor"]),
            ("shelf_chain", take["shelf_c"], book["price_minor"]),
            ("shelf_store", take["shelf_c"], own["price_minor"]),
            ("due_p5", due, habit["due_p5_minor"]),
            ("due_p50", due, habit["due_p50_minor"]),
            ("due_p98", due, habit["due_p98_minor"]),
            ("qty_habit", take["qty"], habit["qty_p98"]),
        ):
            columns[name] = _ratio(over, under)
        return np.stack([columns[n] for n in ANOMALY_COLUMNS], axis=1).astype(np.float32)


def train_anomaly(x: Matrix, y: npt.NDArray[np.bool_]) -> lightgbm.Booster:
    """Return the edge model of "this line is irregular"."""
    rising = [int(n in RISING) - int(n in FALLING) for n in ANOMALY_COLUMNS]
    settings = {**_SETTINGS, "monotone_constraints": rising}
    return lightgbm.train(settings, lightgbm.Dataset(x, y.astype(np.int64)), ROUNDS)


class Forest:
    """An isolation forest over log ratios of real lines: no label, no overlay, a yardstick."""

    def __init__(self, clean: Matrix) -> None:
        """Fit on at most 100,000 rows of real lines; seeded."""
        rng = np.random.default_rng(0)
        rows = clean[rng.choice(len(clean), min(FOREST_ROWS, len(clean)), replace=False)]
        self._places = [ANOMALY_COLUMNS.index(name) for name in _FOREST_COLUMNS]
        self._fills = np.nanmedian(rows[:, self._places], axis=0)
        self._forest = IsolationForest(n_estimators=50, max_samples=256, random_state=0)
        self._forest.fit(self._encoded(rows))

    def score(self, x: Matrix) -> Floats:
        """Return how strange each row is; higher is stranger."""
        strange: Floats = -self._forest.score_samples(self._encoded(x))
        return strange

    def _encoded(self, x: Matrix) -> Floats:
        rows = x[:, self._places]
        # Half and double are equally far from 1 in logs; .05 keeps a 0 finite.
        logs: Floats = np.log(np.where(np.isnan(rows), self._fills, rows) + 0.05)
        return logs


def rule_flags(x: Matrix) -> npt.NDArray[np.bool_]:
    """Return what a register would flag alone: far too cheap, too many coupons, too many."""
    at = {name: index for index, name in enumerate(ANOMALY_COLUMNS)}
    return (
        (x[:, at["shelf_p5"]] < 0.75)
        | (x[:, at["coupon_of_gross"]] > 0.55)
        | (x[:, at["qty_habit"]] > 3)
    )


def serving_statistics(panel: Panel) -> pl.DataFrame:
    """Return the statistics that ship: weeks up to 40."""
    return price_statistics(panel.lines, LAST_TRAIN_WEEK)


def _line_columns(take: dict[str, Ints]) -> dict[str, Floats]:
    gross = take["net_c"] + take["loy_c"] + take["match_c"]
    return {
        "qty": take["qty"].astype(np.float64),
        "shelf": take["shelf_c"] / 100,
        "paid_of_gross": _ratio(take["net_c"] - take["cpn_c"], gross),
        "loyalty_of_gross": _ratio(take["loy_c"], gross),
        "coupon_of_gross": _ratio(take["cpn_c"], gross),
        "match_of_gross": _ratio(take["match_c"], gross),
        "match_of_coupon": _ratio(take["match_c"], take["cpn_c"]),
    }


def _ratio(over: Ints, under: Ints | Floats) -> Floats:
    """Return over / under clipped to the contract's 0..50; NaN where under is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.where(under > 0, over / under, np.nan), 0, 50)
