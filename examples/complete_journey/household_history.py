"""What a household bought before, decayed by age: the deep recommender's cloud-only input.

``artifacts/cloud/households.npz`` holds the purchases of the demo store's households over
the vocabulary; a household's weights on a day count strictly earlier days only. Needs numpy
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from examples.complete_journey.artifacts import CLOUD

HISTORY_LENGTH = 64
"""Items of a household that the deep model reads: the strongest."""
HALF_LIFE_DAYS = 84.0

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Purchases:
    """Purchases as flat arrays sorted by (household, day); items are 0-based indexes."""

    household: Ints
    day: Ints
    item: Ints

    @classmethod
    def sorted(cls, household: Ints, day: Ints, item: Ints) -> Self:
        """Return the purchases in order."""
        order = np.lexsort((item, day, household))
        return cls(household[order], day[order], item[order])

    @classmethod
    def committed(cls) -> Self:
        """Read the demo store's households.

        Raises:
            FileNotFoundError: they are not there.
        """
        return cls.load(CLOUD / "households.npz")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved file."""
        with np.load(path, allow_pickle=False) as archive:
            columns = (archive[name].astype(np.int64) for name in ("household", "day", "item"))
            return cls(*columns)

    def save(self, path: Path) -> None:
        """Write the purchases compactly."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path,
            household=self.household.astype(np.int16),
            day=self.day.astype(np.int16),
            item=self.item.astype(np.int16),
        )

    def weights(self, household: int, day: int) -> tuple[Ints, Floats]:
        """Return (items, decayed counts) of everything bought before ``day`` of 2017."""
        low = int(np.searchsorted(self.household, household, side="left"))
        high = int(np.searchsorted(self.household, household, side="right"))
        end = low + int(np.searchsorted(self.day[low:high], day, side="left"))
        items = self.item[low:end]
        decayed = 0.5 ** ((day - self.day[low:end]) / HALF_LIFE_DAYS)
        distinct, inverse = np.unique(items, return_inverse=True)
        return distinct, np.bincount(inverse, decayed, len(distinct)).astype(np.float32)

    def inputs(self, household: int, on: date) -> tuple[Ints, Floats]:
        """Return the model's inputs, each [1, HISTORY_LENGTH]: item + 1 (0 = padding), weight."""
        return self.rows(np.array([household]), np.array([(on - date(2016, 12, 31)).days]))

    def rows(self, household: Ints, day: Ints) -> tuple[Ints, Floats]:
        """Return the inputs of many rows, each [n, HISTORY_LENGTH]; strongest items first."""
        item = np.zeros((len(household), HISTORY_LENGTH), np.int64)
        weight = np.zeros((len(household), HISTORY_LENGTH), np.float32)
        for row, (who, when) in enumerate(zip(household.tolist(), day.tolist(), strict=True)):
            items, weights = self.weights(who, when)
            best = np.argsort(-weights, kind="stable")[:HISTORY_LENGTH]
            item[row, : len(best)] = items[best] + 1
            weight[row, : len(best)] = weights[best]
        return item, weight
