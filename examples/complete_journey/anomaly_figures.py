"""How well the SYNTHETIC irregular lines are told from real ones; no claim about fraud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import average_precision_score, roc_auc_score

from examples.complete_journey.anomaly import AnomalyFeatures, Forest, Matrix, rule_flags
from examples.complete_journey.artifacts import STORE
from examples.complete_journey.dataset import TEST_WEEKS, VALIDATION_WEEKS
from examples.complete_journey.overlay import SCENARIOS, synthetic_overlay
from examples.complete_journey.scoring import score

EDGE_MODEL = STORE / "receipt_anomaly_edge.onnx"
SPLITS = {"validation": (VALIDATION_WEEKS, 2), "test": (TEST_WEEKS, 3)}
"""Weeks and the overlay's seed."""

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Overlaid:
    """A split's lines under the overlay: rows, scenario (None = real) and basket."""

    x: Matrix
    scenario: npt.NDArray[np.object_]
    basket: npt.NDArray[np.int64]

    @property
    def irregular(self) -> Flags:
        """Return which lines the overlay made."""
        return np.array([name is not None for name in self.scenario])


def overlaid(
    features: AnomalyFeatures, weeks: tuple[int, int], seed: int, statistics: pl.DataFrame
) -> Overlaid:
    """Return the weeks' lines with the overlay of ``seed`` on them."""
    real = features.panel.lines.filter(pl.col("week").is_between(*weeks))
    lines = synthetic_overlay(real, seed)
    return Overlaid(
        features.matrix(lines, statistics),
        np.array(lines["scenario"].to_list(), dtype=object),
        lines["basket"].to_numpy().astype(np.int64),
    )


def line_figures(part: Overlaid, forest: Forest) -> dict[str, Any]:
    """Return AUC and AP per line, of the committed model, the forest and the rule."""
    truth = part.irregular
    edge, strange, flagged = score(EDGE_MODEL, part.x), forest.score(part.x), rule_flags(part.x)
    basket_truth, basket_edge = _by_basket(part.basket, truth), _by_basket(part.basket, edge)
    return {
        "lines": len(truth),
        "synthetic_lines": int(truth.sum()),
        "edge_line_auc": _rounded(roc_auc_score(truth, edge)),
        "edge_line_ap": _rounded(average_precision_score(truth, edge)),
        "forest_line_auc": _rounded(roc_auc_score(truth, strange)),
        "forest_line_ap": _rounded(average_precision_score(truth, strange)),
        "rule_flagged_share": _rounded(flagged.mean()),
        "rule_precision": _rounded(truth[flagged].mean()),
        "rule_recall": _rounded(flagged[truth].mean()),
        "edge_basket_auc": _rounded(roc_auc_score(basket_truth, basket_edge)),
    }


def scenario_auc(part: Overlaid, scores: Scores, scenario: str) -> float:
    """Return the AUC of one scenario's lines against the real ones."""
    chosen = (part.scenario == scenario) | ~part.irregular
    return _rounded(roc_auc_score(part.irregular[chosen], scores[chosen]))


def by_scenario(part: Overlaid, unseen: dict[str, Scores]) -> list[dict[str, Any]]:
    """Return AUCs per scenario: trained on it, and left out of training (LOSO)."""
    edge = score(EDGE_MODEL, part.x)
    return [
        {
            "scenario": name,
            "auc_trained_on_it": scenario_auc(part, edge, name),
            "auc_left_out": scenario_auc(part, unseen[name], name),
        }
        for name in SCENARIOS
    ]


def basket_maximum(features: AnomalyFeatures, weeks: tuple[int, int], x: Matrix) -> Scores:
    """Return each unmodified basket's highest line score; ``x`` are the weeks' real rows."""
    real = features.panel.lines.filter(pl.col("week").is_between(*weeks))
    return _by_basket(real["basket"].to_numpy().astype(np.int64), score(EDGE_MODEL, x))


def _by_basket(basket: npt.NDArray[np.int64], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the largest value of each basket."""
    order = np.argsort(basket, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(basket[order]) != 0])
    largest: npt.NDArray[Any] = np.maximum.reduceat(values[order], starts)
    return largest


def _rounded(value: float) -> float:
    return round(float(value), 4)
