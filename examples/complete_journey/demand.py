"""Demand forecast: units per product category and week, one week ahead, chain-wide.

A plain boosted-tree correction on the mean of the last four weeks, from recent weeks and
the coming week's promotion plan, which is known ahead. Its fallback is last week's number,
the one a store has when nothing else arrives. Cloud only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import lightgbm
import numpy as np
import numpy.typing as npt
import polars as pl

from examples.complete_journey.dataset import LAST_TRAIN_WEEK, Panel, scan
from examples.complete_journey.promo_plan import DISPLAY_CODES, MAIL_CODES

VERSION = "1.0.0"
CATEGORIES = 100
LAST_WEEK = 53
FIRST_USABLE_WEEK = 10
"""The first week with eight full weeks before it."""
COLUMNS = (
    "lag1", "lag2", "lag3", "lag4", "mean8", "trend", "mailed", "mailed_last", "displayed",
    "log_level", "total_lag1", "total_mailed",
)  # fmt: skip
"""Log ratios to the category's mean of four weeks; ``total_*`` the same over all categories."""

_SETTINGS = {
    "objective": "regression_l1",
    "num_leaves": 7,
    "learning_rate": 0.05,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
ROUND_CHOICES = (50, 100, 200, 400)
"""Numbers of trees, picked on weeks 41-46."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DemandData:
    """Units and plan of the 100 best sold categories (of the training weeks) by week."""

    panel: Panel

    @cached_property
    def categories(self) -> list[str]:
        """Return the categories, best sold first."""
        counts = (
            self.panel.lines.filter(pl.col("week") <= LAST_TRAIN_WEEK)
            .filter(pl.col("category").is_not_null())
            .group_by("category")
            .len()
            .sort(["len", "category"], descending=[True, False])
        )
        names: list[str] = counts["category"].head(CATEGORIES).to_list()
        return names

    @cached_property
    def units(self) -> Floats:
        """Return units sold, [category, week]; column 0 is unused."""
        sold = self.panel.lines.lazy().group_by("category", "week").agg(value=pl.col("qty").sum())
        return self._by_week(sold)

    @cached_property
    def plan(self) -> tuple[Floats, Floats]:
        """Return (mailed, displayed) product-store entries, each [category, week]."""
        category = self.panel.master.lazy().select(product_id="product", category="category")
        mailed = (~pl.col("mailer_location").is_in(list(MAIL_CODES[:2]))).sum()
        shown = (~pl.col("display_location").is_in(list(DISPLAY_CODES[:2]))).sum()
        listed = (
            scan("promotions")
            .join(category, on="product_id", how="inner")
            .group_by("category", "week")
            .agg(mailed=mailed, shown=shown)
            .collect(engine="streaming")
            .lazy()
        )
        entries = listed.select("category", "week", value=pl.col("mailed"))
        displays = listed.select("category", "week", value=pl.col("shown"))
        return self._by_week(entries), self._by_week(displays)

    def rows(self, weeks: range) -> tuple[npt.NDArray[np.float32], Floats, Floats]:
        """Return (features float32, level, units) of every category and week.

        ``level`` is the mean of the last four weeks, the number the model corrects. Only
        sales before the week are read, and the week's own plan.
        """
        parts = [self._week(week) for week in weeks]
        features, level, units = (np.concatenate(column) for column in zip(*parts, strict=True))
        return features.astype(np.float32), level, units

    def _week(self, week: int) -> tuple[Floats, Floats, Floats]:
        units = self.units
        mailed, shown = self.plan
        level = units[:, week - 4 : week].mean(axis=1)
        usual_mailed = mailed[:, week - 4 : week].mean(axis=1)
        columns = [_log_ratio(units[:, week - lag], level) for lag in (1, 2, 3, 4)]
        columns += [
            _log_ratio(units[:, week - 8 : week].mean(axis=1), level),
            _log_ratio(units[:, week - 2 : week].mean(axis=1), level),
            _log_ratio(mailed[:, week], usual_mailed),
            _log_ratio(mailed[:, week - 1], usual_mailed),
            _log_ratio(shown[:, week], shown[:, week - 4 : week].mean(axis=1)),
            np.log1p(level),
        ]
        total = units.sum(axis=0)
        whole = np.log(total[week - 1] / total[week - 4 : week].mean())
        plan = mailed.sum(axis=0)
        whole_plan = np.log((plan[week] + 1) / (plan[week - 4 : week].mean() + 1))
        columns += [np.full(len(level), whole), np.full(len(level), whole_plan)]
        return np.stack(columns, axis=1), level, units[:, week]

    def _by_week(self, values: pl.LazyFrame) -> Floats:
        index = pl.LazyFrame({"category": self.categories}).with_row_index("row")
        found = values.join(index, on="category", how="inner").collect()
        table = np.zeros((CATEGORIES, LAST_WEEK + 1))
        table[found["row"].to_numpy(), found["week"].to_numpy()] = found["value"].to_numpy()
        return table


def train_demand(data: DemandData, rounds: int) -> lightgbm.Booster:
    """Return the model of log(units / level), fitted on weeks up to 40."""
    features, level, units = data.rows(range(FIRST_USABLE_WEEK, LAST_TRAIN_WEEK + 1))
    # Weighted by level, because the error that counts is in units.
    target = lightgbm.Dataset(features, _log_ratio(units, level), weight=level)
    return lightgbm.train(_SETTINGS, target, rounds)


def wmape(forecast: Floats, units: Floats) -> float:
    """Return the sum of absolute errors over the sum of units."""
    return float(np.abs(forecast - units).sum() / units.sum())


def _log_ratio(value: Floats, reference: Floats) -> Floats:
    return np.log((value + 1) / (reference + 1))
