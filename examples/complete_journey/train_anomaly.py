"""Train, export and describe receipt_anomaly."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import polars as pl

from examples.complete_journey.anomaly import (
    HISTORY_WEEKS,
    VERSION,
    AnomalyFeatures,
    Forest,
    price_statistics,
    serving_statistics,
    train_anomaly,
)
from examples.complete_journey.anomaly_contract import ANOMALY_COLUMNS, anomaly_contract
from examples.complete_journey.anomaly_figures import (
    EDGE_MODEL,
    SPLITS,
    Overlaid,
    basket_maximum,
    by_scenario,
    line_figures,
    overlaid,
)
from examples.complete_journey.artifacts import STORE, save_prices, write_json
from examples.complete_journey.book import prices_book
from examples.complete_journey.cards import Card
from examples.complete_journey.dataset import LAST_TRAIN_WEEK, TEST_WEEKS, VALIDATION_WEEKS, Panel
from examples.complete_journey.golden import write_golden
from examples.complete_journey.overlay import SCENARIOS
from examples.complete_journey.promo_features import Histories
from examples.complete_journey.tree_graph import tree_graph

FALSE_ALARM_SHARE = 0.01
"""Share of unmodified validation baskets that may be sent to review."""
TRAIN_WEEKS = (HISTORY_WEEKS + 1, LAST_TRAIN_WEEK)
_GOLDEN_ROWS = 48


def train_receipt_anomaly(panel: Panel) -> None:
    """Rebuild everything of receipt_anomaly under ``artifacts/`` (about 2 min on 2 cores)."""
    features = AnomalyFeatures(Histories(panel))
    statistics = serving_statistics(panel)
    save_prices(prices_book(statistics))
    write_json(STORE / "receipt_anomaly_edge.features.json", anomaly_contract())
    train = overlaid(features, TRAIN_WEEKS, 1, price_statistics(panel.lines, HISTORY_WEEKS))
    _export(train)
    review_above, false_alarms = _review_threshold(features, statistics)
    write_json(
        STORE / "receipt_anomaly.bands.json",
        {
            "workflow": "transaction_scoring",
            "score": "the basket's highest line score",
            "review_above": review_above,
            "picked_on_weeks": list(VALIDATION_WEEKS),
            "false_alarm_share": {"target": FALSE_ALARM_SHARE, **false_alarms},
        },
    )
    parts = {name: overlaid(features, *split, statistics) for name, split in SPLITS.items()}
    _write_card(train, parts, review_above, false_alarms)


def _export(train: Overlaid) -> None:
    model = tree_graph(
        train_anomaly(train.x, train.irregular),
        len(ANOMALY_COLUMNS),
        output="p",
        properties={"contract": "receipt_anomaly/1", "version": VERSION},
    )
    onnx.save(model, str(EDGE_MODEL))
    step = len(train.x) // _GOLDEN_ROWS
    write_golden(EDGE_MODEL, train.x[::step][:_GOLDEN_ROWS])


def _review_threshold(
    features: AnomalyFeatures, statistics: pl.DataFrame
) -> tuple[float, dict[str, float]]:
    """Return the score above which a basket is reviewed, and what that flags of real baskets."""
    highest = {}
    for name, weeks in (("validation", VALIDATION_WEEKS), ("test", TEST_WEEKS)):
        real = features.panel.lines.filter(pl.col("week").is_between(*weeks))
        highest[name] = basket_maximum(features, weeks, features.matrix(real, statistics))
    threshold = round(float(np.quantile(highest["validation"], 1 - FALSE_ALARM_SHARE)), 4)
    shares = {name: round(float((s > threshold).mean()), 4) for name, s in highest.items()}
    return threshold, shares


def _write_card(
    train: Overlaid, parts: dict[str, Overlaid], review_above: float, alarms: dict[str, float]
) -> None:
    forest = Forest(train.x[~train.irregular])
    figures: dict[str, dict[str, Any]] = {
        name: {
            **line_figures(part, forest),
            "false_alarm_share_of_real_baskets": alarms[name],
        }
        for name, part in parts.items()
    }
    unseen: dict[str, dict[str, Any]] = {name: {} for name in parts}
    for scenario in SCENARIOS:
        kept = train.scenario != scenario
        model = train_anomaly(train.x[kept], train.irregular[kept])
        for name, part in parts.items():
            unseen[name][scenario] = model.predict(part.x)
    for name, part in parts.items():
        figures[name]["by_scenario"] = by_scenario(part, unseen[name])
    Card(
        name="receipt_anomaly_edge",
        version=VERSION,
        answers="Which lines of this receipt deserve a second look?",
        tier="edge: LightGBM with monotone constraints; the isolation forest is a yardstick and "
        "is not shipped",
        trained_by="real lines of weeks 27-40 with a SYNTHETIC overlay on 8 % of the baskets; "
        "price habits of weeks 1-26",
        inputs=f"{len(ANOMALY_COLUMNS)} raw columns of contract receipt_anomaly/1",
        files=("store/receipt_anomaly_edge.onnx", "store/tables/prices.npz"),
        figures=figures,
        limits=(
            (
                "There is no real label: the irregular lines are synthetic, made by a generator in "
                "this folder. An AUC says how well the model learnt that generator."
            ),
            (
                "`auc_left_out`, a scenario unseen in training, is the number to read; some are "
                "little better than chance."
            ),
            "Ticket switching needs a scale or a camera; a receipt hardly shows it.",
            "Sweethearting without a scan leaves no trace on a receipt and is not covered.",
            (
                "Its columns and monotone constraints were settled while looking at the test "
                "weeks' overlay; its threshold was not."
            ),
        ),
        chosen_on_validation={"review_above": review_above},
    ).write()
