"""How good basket_rec is: any@5, P@5 and HR@5 on partial real carts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse  # type: ignore[import-untyped]

from examples.complete_journey.artifacts import CLOUD, STORE
from examples.complete_journey.basket_rec import (
    VOCABULARY,
    BasketData,
    Cases,
    Flags,
    Floats,
    Ints,
    draw_cases,
    hits,
    top,
)
from examples.complete_journey.dataset import TEST_WEEKS, VALIDATION_WEEKS
from examples.complete_journey.household_history import Purchases
from examples.complete_journey.scoring import session

EDGE_MODEL = STORE / "basket_rec_edge.onnx"
DEEP_MODEL = CLOUD / "basket_rec_deep.onnx"
SPLITS = {"validation": VALIDATION_WEEKS, "test": TEST_WEEKS}
_BATCH_ROWS = 512
_BOOTSTRAPS = 200


@dataclass(frozen=True)
class SplitCases:
    """A split's cases, the prior row of their stores and their households' history."""

    cases: Cases
    store_row: Ints
    history: tuple[Ints, Floats]

    def history_matrix(self) -> sparse.csr_matrix:
        """Return log counts of the household's history, shape [n, VOCABULARY]."""
        item, weight = self.history
        row, column = np.nonzero(item)
        values = np.log1p(weight[row, column])
        shape = (len(item), VOCABULARY)
        return sparse.csr_matrix((values, (row, item[row, column] - 1)), shape=shape)


def all_purchases(data: BasketData) -> Purchases:
    """Return every household's purchases over the vocabulary."""
    baskets = data.baskets
    basket = np.repeat(np.arange(len(baskets.store)), np.diff(baskets.start))
    return Purchases.sorted(baskets.household[basket], baskets.day[basket], baskets.item)


def split_cases(data: BasketData, purchases: Purchases, name: str) -> SplitCases:
    """Return the cases of ``validation`` or ``test``."""
    cases = draw_cases(data, SPLITS[name])
    history = purchases.rows(cases.household, cases.day)
    return SplitCases(cases, data.store_row(cases.store), history)


def recommendation(data: BasketData, split: SplitCases, full: Floats | None) -> dict[str, Any]:
    """Return the figures of the static fallback and of the committed models.

    ``full`` adds the unpruned deep model: full EASE scores of the cases, prior included.
    """
    cases = split.cases
    found = {
        "static": hits(top(data.store_counts[split.store_row], cases), cases),
        "edge": hits(_suggested(EDGE_MODEL, split, deep=False), cases),
        "deep": hits(_suggested(DEEP_MODEL, split, deep=True), cases),
    }
    if full is not None:
        found["deep_full"] = hits(top(full, cases), cases)
    figures: dict[str, Any] = {"cases": len(cases.cart)}
    for tier, hit in found.items():
        figures[f"{tier}_any_at_5"] = any_at_5(hit)
        figures[f"{tier}_precision_at_5"] = round(float(hit.mean()), 4)
        figures[f"{tier}_hit_rate_at_5"] = _hit_rate(hit, cases)
    figures["edge_minus_static_any_at_5_95"] = _gain(found["edge"], found["static"])
    figures["deep_minus_edge_any_at_5_95"] = _gain(found["deep"], found["edge"])
    return figures


def any_at_5(hit: Flags) -> float:
    """Return the share of carts of which at least one of five suggestions was bought."""
    return round(float(hit.any(axis=1).mean()), 4)


def _suggested(model: Any, split: SplitCases, *, deep: bool) -> Ints:
    runner = session(model)
    parts = []
    for start in range(0, len(split.cases.cart), _BATCH_ROWS):
        rows = slice(start, start + _BATCH_ROWS)
        feed: dict[str, npt.NDArray[Any]] = {
            "cart": split.cases.cart[rows],
            "store": split.store_row[rows],
        }
        if deep:
            feed |= {"hist_item": split.history[0][rows], "hist_weight": split.history[1][rows]}
        parts.append(runner.run(["item"], feed)[0][:, :5] - 1)
    return np.concatenate(parts)


def _hit_rate(hit: Flags, cases: Cases) -> float:
    """Return the expected hits when one random held-out item counts per case."""
    held_out = np.asarray(cases.target.sum(axis=1)).ravel()
    return round(float((hit.sum(axis=1) / held_out).mean()), 4)


def _gain(better: Flags, base: Flags) -> str:
    """Return the bootstrap 95 % interval of the any@5 difference, in points."""
    difference = np.asarray(better.any(axis=1), np.float64) - base.any(axis=1)
    count = len(better)
    rng = np.random.default_rng(0)
    counts = rng.multinomial(count, np.full(count, 1 / count), _BOOTSTRAPS)
    means = counts @ difference / count
    low, high = np.percentile(means, [2.5, 97.5]) * 100
    return f"{low:+.1f} to {high:+.1f} points"
