"""Train, export and describe the demand forecast."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from examples.complete_journey.artifacts import CLOUD, write_json
from examples.complete_journey.cards import Card
from examples.complete_journey.dataset import TEST_WEEKS, VALIDATION_WEEKS, Panel
from examples.complete_journey.demand import (
    COLUMNS,
    ROUND_CHOICES,
    VERSION,
    DemandData,
    train_demand,
    wmape,
)
from examples.complete_journey.golden import write_golden
from examples.complete_journey.scoring import score
from examples.complete_journey.tree_graph import tree_graph

MODEL = CLOUD / "demand.onnx"
SPLITS = {"validation": VALIDATION_WEEKS, "test": TEST_WEEKS}
_GOLDEN_ROWS = 24


def train_demand_forecast(panel: Panel) -> None:
    """Rebuild the demand forecast under ``artifacts/`` (about 20 s)."""
    data = DemandData(panel)
    features, level, units = data.rows(_weeks("validation"))
    boosters = {rounds: train_demand(data, rounds) for rounds in ROUND_CHOICES}
    errors = {
        rounds: wmape(level * np.exp(booster.predict(features)), units)
        for rounds, booster in boosters.items()
    }
    rounds = min(errors, key=errors.__getitem__)
    model = tree_graph(
        boosters[rounds],
        len(COLUMNS),
        output="log_ratio",
        properties={"contract": "demand/1", "version": VERSION},
    )
    onnx.save(model, str(MODEL))
    write_golden(MODEL, features[:_GOLDEN_ROWS])
    write_json(CLOUD / "demand.categories.json", data.categories)
    Card(
        name="demand",
        version=VERSION,
        answers="How many units of a category will the chain sell next week?",
        tier=f"cloud: LightGBM, {rounds} trees of 7 leaves, correcting the mean of four weeks",
        trained_by="weeks 10-40 of the 100 best sold categories",
        inputs=f"{len(COLUMNS)} log ratios: {', '.join(COLUMNS)}",
        files=("cloud/demand.onnx", "cloud/demand.categories.json"),
        figures={name: demand_figures(data, name) for name in SPLITS},
        limits=(
            "One year of data: no season has been seen twice.",
            "Panel units, not a store's: a small sample of households.",
            "The gain over a mean of four weeks is small, over last week's number it is real.",
        ),
        chosen_on_validation={"trees": rounds},
    ).write()


def demand_figures(data: DemandData, name: str) -> dict[str, Any]:
    """Return wMAPE of the committed model, of last week's number and of the four-week mean."""
    weeks = _weeks(name)
    features, level, units = data.rows(weeks)
    forecast = level * np.exp(score(MODEL, features))
    last = np.concatenate([data.units[:, week - 1] for week in weeks])
    return {
        "category_weeks": len(units),
        "model_wmape": round(wmape(forecast, units), 4),
        "last_week_wmape": round(wmape(last, units), 4),
        "mean_of_four_wmape": round(wmape(level, units), 4),
    }


def _weeks(name: str) -> range:
    first, last = SPLITS[name]
    return range(first, last + 1)
