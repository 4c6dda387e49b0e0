"""Golden rows: inputs and the outputs a loaded model must reproduce before it may serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from examples.complete_journey.artifacts import read_json, write_json
from examples.complete_journey.scoring import score

TOLERANCE = 1e-4
"""Largest difference of a score that still counts as the same model."""


def golden_path(model: Path) -> Path:
    """Return where a model's golden rows live: beside it."""
    return model.with_suffix(".golden.json")


def write_golden(model: Path, x: npt.NDArray[np.float32]) -> None:
    """Score rows with a model and write both; NaN is written as null."""
    content = {
        "model": model.name,
        "input": "x",
        "tolerance": TOLERANCE,
        "x": [[None if np.isnan(value) else float(value) for value in row] for row in x],
        "expected": [round(float(value), 7) for value in score(model, x)],
    }
    write_json(golden_path(model), content)


def read_golden(model: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return (rows, expected scores) of a model."""
    content = read_json(golden_path(model))
    rows = [[np.nan if value is None else value for value in row] for row in content["x"]]
    return np.array(rows, np.float32), np.array(content["expected"], np.float32)
