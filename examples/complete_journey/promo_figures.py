"""How good promo_price is: the figures of its model card and of ``evaluate``.

Everything here scores the committed ONNX files; nothing is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from examples.complete_journey.artifacts import CLOUD, STORE
from examples.complete_journey.bands import Band, as_dict, measure
from examples.complete_journey.contract import EDGE_COLUMNS
from examples.complete_journey.dataset import TEST_WEEKS, VALIDATION_WEEKS
from examples.complete_journey.promo_features import PromoFeatures
from examples.complete_journey.promo_price import BOOK_CONDITIONS, rule_b
from examples.complete_journey.scoring import Floats, score

EDGE_MODEL = STORE / "promo_price_edge.onnx"
DEEP_MODEL = CLOUD / "promo_price_deep.onnx"
SPLITS = {"validation": VALIDATION_WEEKS, "test": TEST_WEEKS}
_MAIL, _CHAIN_RATE = EDGE_COLUMNS.index("mail"), EDGE_COLUMNS.index("c1_r")
_CONTRADICTION = (0.02, 0.05)


@dataclass(frozen=True)
class Split:
    """One split's rows, labels and keys."""

    rows: npt.NDArray[np.bool_]
    label: npt.NDArray[np.int64]
    week: npt.NDArray[np.int64]


def split(features: PromoFeatures, name: str) -> Split:
    """Return the rows of ``validation`` or ``test``: every store, every model line."""
    rows = features.panel.rows(*SPLITS[name])
    return Split(rows, features.label[rows], features.panel.weeks[rows])


def edge_under(features: PromoFeatures, name: str) -> dict[tuple[int, bool], Floats]:
    """Return the edge model's probabilities of a split under every book condition."""
    part = split(features, name)
    return {
        (age, kept): score(EDGE_MODEL, features.matrix(part.rows, age_weeks=age, plan_kept=kept))
        for age, kept in BOOK_CONDITIONS
    }


def price_check(features: PromoFeatures, name: str, accept: float) -> dict[str, Any]:
    """Return accuracies of rule, edge, deep and tiers on a fresh book.

    ``accept`` is the edge confidence from which the gateway decides alone.
    """
    part = split(features, name)
    raw = features.matrix(part.rows, deep=True)
    edge = score(EDGE_MODEL, np.ascontiguousarray(raw[:, : len(EDGE_COLUMNS)]))
    deep = score(DEEP_MODEL, raw)
    accepted = np.maximum(edge, 1 - edge) >= accept
    right = {
        "rule_b": rule_b(raw, _MAIL, _CHAIN_RATE) == (part.label == 1),
        "edge": (edge > 0.5) == (part.label == 1),
        "deep": (deep > 0.5) == (part.label == 1),
    }
    right["tiered"] = np.where(accepted, right["edge"], right["deep"])
    figures: dict[str, Any] = {
        "lines": len(part.label),
        **{f"{tier}_accuracy": _mean(correct) for tier, correct in right.items()},
        "accept_confidence": accept,
        "escalated_share": _mean(~accepted),
        "accepted_accuracy": _mean(right["edge"][accepted]),
        "borderline_edge_accuracy": _mean(right["edge"][~accepted]),
        "borderline_deep_accuracy": _mean(right["deep"][~accepted]),
    }
    figures["by_week"] = {
        str(week): {tier: _mean(right[tier][part.week == week]) for tier in right}
        for week in np.unique(part.week)
    }
    figures["receipt_contradiction"] = _contradiction(edge, part.label)
    return figures


def book_ages(
    probabilities: dict[tuple[int, bool], Floats],
    label: npt.NDArray[np.int64],
    bands: list[Band],
) -> list[dict[str, Any]]:
    """Return each band's figures: its condition, threshold, accuracy and accepted share."""
    return [
        {
            "age_weeks": band.age_weeks,
            "plan": "kept" if band.plan_kept else "missing",
            "accept_confidence": band.accept_confidence,
            **as_dict(
                measure(
                    probabilities[band.age_weeks, band.plan_kept], label, band.accept_confidence
                )
            ),
        }
        for band in bands
    ]


def _contradiction(edge: Floats, label: npt.NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Return how often a confident edge model contradicts unmodified, presumably right receipts.

    ``caught_fake_discounts``: the share of undiscounted lines on which a discount put on by
    hand would contradict it.
    """
    return {
        f"{bound:.2f}": {
            "flagged_lines": _mean(np.where(label == 1, edge < bound, edge > 1 - bound)),
            "caught_fake_discounts": _mean(edge[label == 0] < bound),
        }
        for bound in _CONTRADICTION
    }


def _mean(values: npt.NDArray[Any]) -> float:
    return round(float(values.mean()), 4)
