"""Which scores may be acted on: a band's two sides, and what lies between."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt

from gateway.features.tables import Floats
from terminal_client.core.policy import Band, Bands

Mask = npt.NDArray[np.bool_]


def band_in_force(bands: Bands, age: timedelta, missing: frozenset[str]) -> Band | None:
    """Return the band for tables of ``age``: a begun day does not count as a day."""
    return bands.at(age.days, missing)


def sure(scores: Floats, band: Band | None) -> Mask:
    """Return which of ``scores`` may be acted on; without a band, none."""
    if band is None:
        return np.zeros(len(scores), np.bool_)
    return (scores <= np.float32(band.low)) | (scores >= np.float32(band.high))


def confidence(score: float) -> float:
    """Return how far a probability is from its opposite, in ``[0.5, 1]``."""
    return max(score, 1.0 - score)
