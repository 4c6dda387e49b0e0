"""When may the edge model decide alone? Thresholds by book age, picked on validation.

A stale model still beats a stale rule, but it is surer of itself than it should be. So
each book condition has its own threshold on confidence, ``max(p, 1 - p)``: the smallest on
the grid at which validation lines above it are right often enough.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TARGET_ACCURACY = 0.96
GRID = np.round(np.arange(0.70, 0.9951, 0.005), 3)
MINIMUM_SHARE = 0.02
"""A band that accepts fewer validation lines than this is not worth opening."""
REVIEW_CONFIDENCE = 0.70
"""Where the deep model is less sure than this as well, a person may look at it."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BandFigures:
    """How a threshold does on one split: accuracy on what it accepts, and how much that is."""

    accepted_accuracy: float
    accepted_share: float
    all_accuracy: float


@dataclass(frozen=True)
class Band:
    """One book condition's threshold; None = no confidence suffices, use the rules."""

    age_weeks: int
    plan_kept: bool
    accept_confidence: float | None


def measure(probability: Floats, label: Ints, accept_confidence: float | None) -> BandFigures:
    """Return the figures of a threshold on one split."""
    confidence = np.maximum(probability, 1 - probability)
    right = (probability > 0.5) == (label == 1)
    if accept_confidence is None:
        return BandFigures(float("nan"), 0.0, float(right.mean()))
    accepted = confidence >= accept_confidence
    accuracy = float(right[accepted].mean()) if accepted.any() else float("nan")
    return BandFigures(accuracy, float(accepted.mean()), float(right.mean()))


def pick(probability: Floats, label: Ints, target: float = TARGET_ACCURACY) -> float | None:
    """Return the smallest confidence at which accepted lines reach ``target``, or None."""
    for threshold in GRID:
        figures = measure(probability, label, float(threshold))
        if figures.accepted_share < MINIMUM_SHARE:
            return None
        if figures.accepted_accuracy >= target:
            return float(threshold)
    return None


def policy(bands: list[Band]) -> dict[str, Any]:
    """Return ``bands.json``: rows by book age in days, and what holds outside them."""
    return {
        "workflow": "price_check",
        "confidence": "max(p, 1 - p)",
        "target_accuracy": TARGET_ACCURACY,
        "picked_on_weeks": [41, 46],
        "bands": [
            {
                # The book of a week is dated the Sunday before: 1..7 days old in its week.
                "age_days_max": 7 * band.age_weeks,
                "plan": "kept" if band.plan_kept else "missing",
                "accept_confidence": band.accept_confidence,
            }
            for band in bands
        ],
        "older": "rules",
        "deep_review_below_confidence": REVIEW_CONFIDENCE,
    }


def as_dict(figures: BandFigures) -> dict[str, float]:
    """Return the figures rounded for reports."""
    return {name: round(value, 4) for name, value in asdict(figures).items()}
