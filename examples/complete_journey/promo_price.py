"""Train promo_price: will the loyalty promotion price apply to this line?

The edge model is a small network over what a gateway holds; the deep model a boosted tree
ensemble that also sees the whole fleet. Both learn from weeks 6-40 only. Everything chosen
(widths, epochs, the stale share below) was chosen on weeks 41-46.
"""

from __future__ import annotations

import lightgbm
import numpy as np
import numpy.typing as npt

from examples.complete_journey.dataset import FIRST_TRAIN_WEEK, LAST_TRAIN_WEEK
from examples.complete_journey.mlp import Mlp, MlpConfig, train_mlp
from examples.complete_journey.promo_encoding import encode
from examples.complete_journey.promo_features import Matrix, PromoFeatures

VERSION = "1.0.0"
BOOK_CONDITIONS = tuple((age, kept) for age in (1, 2, 3, 4) for kept in (True, False))
"""(book age in weeks, this week's plan kept): what a gateway may have to decide with."""

STALE_SHARE = 0.06
"""Share of the training rows repeated under each stale condition. Without it the network is
as sure of itself with a month-old book as with yesterday's; on validation .06 costs .0004
accuracy on a fresh book, .12 costs .0019."""

EDGE_CONFIG = MlpConfig(hidden=(64, 32), epochs=12, batch_rows=1024, learning_rate=2e-3)
DEEP_SETTINGS = {
    "objective": "binary",
    "num_leaves": 127,
    "learning_rate": 0.1,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.9,
    "bagging_fraction": 0.9,
    "bagging_freq": 1,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
DEEP_ROUNDS = 400


def train_edge(features: PromoFeatures) -> Mlp:
    """Return the trained edge network, input standardisation folded in (about 90 s)."""
    rows = features.panel.rows(FIRST_TRAIN_WEEK, LAST_TRAIN_WEEK)
    label = features.label[rows]
    fresh = encode(features.matrix(rows))
    inputs, labels = [fresh], [label]
    rng = np.random.default_rng(EDGE_CONFIG.seed)
    for age_weeks, plan_kept in BOOK_CONDITIONS[1:]:
        chosen = rng.random(len(label)) < STALE_SHARE
        stale = features.matrix(_subset(rows, chosen), age_weeks=age_weeks, plan_kept=plan_kept)
        inputs.append(encode(stale))
        labels.append(label[chosen])
    # Standardised by the fresh rows, which are what the network mostly sees.
    mean, spread = fresh.mean(axis=0), fresh.std(axis=0) + np.float32(1e-6)
    rows_in = (np.concatenate(inputs) - mean) / spread
    network = train_mlp(rows_in, np.concatenate(labels), EDGE_CONFIG)
    return network.scaled(mean, spread, temperature=1.0)


def train_deep(features: PromoFeatures, threads: int = 2) -> lightgbm.Booster:
    """Return the trained deep model over the deep contract's columns (about 3 min)."""
    rows = features.panel.rows(FIRST_TRAIN_WEEK, LAST_TRAIN_WEEK)
    data = lightgbm.Dataset(features.matrix(rows, deep=True), features.label[rows])
    return lightgbm.train({**DEEP_SETTINGS, "num_threads": threads}, data, DEEP_ROUNDS)


def rule_b(raw: Matrix, mail_at: int, chain_rate_at: int) -> npt.NDArray[np.bool_]:
    """Return the deterministic fallback's answer for raw rows.

    In this week's mailer: yes. Otherwise last week's chain-wide majority; a product nobody
    bought last week, or an unknown one: no.
    """
    mailed = raw[:, mail_at] >= 2
    majority = np.nan_to_num(raw[:, chain_rate_at], nan=0.0) > 0.5
    return mailed | majority


def _subset(rows: npt.NDArray[np.bool_], chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    picked = np.zeros_like(rows)
    picked[np.flatnonzero(rows)[chosen]] = True
    return picked
