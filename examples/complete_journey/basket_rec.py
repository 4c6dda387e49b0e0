"""basket_rec: what else belongs into this cart?

EASE (a closed-form item-item model) over the 5,000 best sold products. The edge keeps each
product's 64 strongest neighbours and adds a small prior of what the store sells; the deep
model keeps more of them and adds what the household bought before, decayed by age.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse  # type: ignore[import-untyped]

from examples.complete_journey.dataset import LAST_TRAIN_WEEK, Panel

VERSION = "1.0.0"
VOCABULARY = 5000
CART_LENGTH = 20
SUGGESTIONS = 10
EDGE_NEIGHBOURS = 64
DEEP_NEIGHBOURS = 128
MINIMUM_STORE_BASKETS = 500
"""A store with fewer training baskets gets the chain's prior."""
PRIOR_STRENGTH = 200.0
"""Pseudo-lines of chain popularity mixed into a store's counts."""
RIDGE = 100.0
PRIOR_WEIGHTS = (0.0025, 0.005, 0.01, 0.02)
HISTORY_WEIGHTS = (0.05, 0.1, 0.2)
"""Candidates, picked on weeks 41-46 when training."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Baskets:
    """Baskets over the vocabulary, as flat arrays ordered by basket.

    ``start[i]:start[i + 1]`` are basket i's distinct ``item`` indexes (0-based).
    """

    start: Ints
    item: Ints
    store: Ints
    household: Ints
    day: Ints
    week: Ints


class BasketData:
    """Vocabulary, baskets and store priors; everything counted on weeks up to 40."""

    def __init__(self, panel: Panel) -> None:
        """Count products and baskets once."""
        self._lines = panel.lines

    @cached_property
    def products(self) -> list[int]:
        """Return the vocabulary: the best sold products, best first (ties by id)."""
        counts = (
            self._lines.filter(pl.col("week") <= LAST_TRAIN_WEEK)
            .group_by("product")
            .len()
            .sort(["len", "product"], descending=[True, False])
        )
        best: list[int] = counts["product"].head(VOCABULARY).to_list()
        return best

    @cached_property
    def baskets(self) -> Baskets:
        """Return every basket with at least one known product, in time order."""
        index = pl.DataFrame({"product": self.products}).with_row_index("item")
        known = (
            self._lines.join(index, on="product", how="inner")
            .select("ts", "basket", "item", "store", "household", "day", "week")
            .unique()
            .sort("ts", "basket", "item")
        )
        first = known["basket"].to_numpy()
        starts = np.flatnonzero(np.r_[True, first[1:] != first[:-1]])
        column = {
            name: known[name].to_numpy().astype(np.int64)[starts]
            for name in ("store", "household", "day", "week")
        }
        start = np.r_[starts, len(first)].astype(np.int64)
        return Baskets(start, known["item"].to_numpy().astype(np.int64), **column)

    @cached_property
    def train_matrix(self) -> sparse.csr_matrix:
        """Return the training baskets, 0/1, shape [baskets, VOCABULARY]."""
        baskets = self.baskets
        count = int((baskets.week <= LAST_TRAIN_WEEK).sum())
        end = baskets.start[count]
        ones = np.ones(end, np.float32)
        return sparse.csr_matrix(
            (ones, baskets.item[:end], baskets.start[: count + 1]), shape=(count, VOCABULARY)
        )

    @cached_property
    def stores(self) -> Ints:
        """Return the stores with a prior of their own, ascending."""
        train = self.baskets.store[self.baskets.week <= LAST_TRAIN_WEEK]
        stores, counts = np.unique(train, return_counts=True)
        return stores[counts >= MINIMUM_STORE_BASKETS]

    @cached_property
    def store_counts(self) -> Floats:
        """Return training baskets per (store, item); row 0 is the whole chain."""
        matrix = self.train_matrix
        store = self.baskets.store[: matrix.shape[0]]
        chain = np.asarray(matrix.sum(axis=0))
        rows = [np.asarray(matrix[store == s].sum(axis=0)) for s in self.stores]
        return np.concatenate([chain, *rows]).astype(np.float32)

    @cached_property
    def log_prior(self) -> Floats:
        """Return log share of each item by store row (0 = chain), smoothed by the chain."""
        counts = self.store_counts
        chain = counts[0] / counts[0].sum()
        smooth = counts + PRIOR_STRENGTH * chain
        prior: Floats = np.log(smooth / smooth.sum(axis=1, keepdims=True)).astype(np.float32)
        return prior

    def store_row(self, store: Ints) -> Ints:
        """Return the prior's row of each store, 0 = unknown."""
        at = np.minimum(np.searchsorted(self.stores, store), len(self.stores) - 1)
        return np.where(self.stores[at] == store, at + 1, 0)


def ease(matrix: sparse.csr_matrix, ridge: float = RIDGE) -> Floats:
    """Return the item-item weights [VOCABULARY, VOCABULARY], zero diagonal (5-20 s, 0.5 GB)."""
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0.0)
    single: Floats = weights.astype(np.float32)
    return single


def strongest(weights: Floats, neighbours: int) -> tuple[Ints, Floats]:
    """Return each row's largest weights: indexes and values, both [items, neighbours]."""
    at = np.argpartition(-weights, neighbours, axis=1)[:, :neighbours]
    at.sort(axis=1)
    return at.astype(np.int64), np.take_along_axis(weights, at, axis=1)


def pruned(weights: Floats, neighbours: int) -> Floats:
    """Return the dense weights with everything but each row's strongest set to 0."""
    at, values = strongest(weights, neighbours)
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, at, values, axis=1)
    return kept


@dataclass(frozen=True)
class Cases:
    """Partial carts with what was really bought besides; one row per case."""

    cart: Ints
    """[n, CART_LENGTH] item + 1, 0 = padding."""
    target: sparse.csr_matrix
    """[n, VOCABULARY] 0/1: the rest of the basket."""
    store: Ints
    household: Ints
    day: Ints

    def cart_matrix(self) -> sparse.csr_matrix:
        """Return the carts, 0/1, shape [n, VOCABULARY]."""
        row, column = np.nonzero(self.cart)
        ones = np.ones(len(row), np.float32)
        shape = (len(self.cart), VOCABULARY)
        return sparse.csr_matrix((ones, (row, self.cart[row, column] - 1)), shape=shape)


def draw_cases(data: BasketData, weeks: tuple[int, int], seed: int = 7) -> Cases:
    """Cut every basket of at least 3 known items at a random place; the same for one seed."""
    rng = np.random.default_rng(seed)
    baskets = data.baskets
    sizes = np.diff(baskets.start)
    chosen = np.flatnonzero((baskets.week >= weeks[0]) & (baskets.week <= weeks[1]) & (sizes >= 3))
    carts = np.zeros((len(chosen), CART_LENGTH), np.int64)
    rows, columns = [], []
    for row, basket in enumerate(chosen):
        items = rng.permutation(baskets.item[baskets.start[basket] : baskets.start[basket + 1]])
        size = int(rng.integers(1, min(len(items) - 1, CART_LENGTH) + 1))
        carts[row, :size] = items[:size] + 1
        rows.append(np.full(len(items) - size, row))
        columns.append(items[size:])
    row_of, item_of = np.concatenate(rows), np.concatenate(columns)
    target = sparse.csr_matrix(
        (np.ones(len(row_of), np.float32), (row_of, item_of)), shape=(len(chosen), VOCABULARY)
    )
    return Cases(
        carts, target, baskets.store[chosen], baskets.household[chosen], baskets.day[chosen]
    )


def top(scores: Floats, cases: Cases, count: int = 5) -> Ints:
    """Return the best items per row that are not in the cart, best first."""
    open_scores = scores.copy()
    row, column = np.nonzero(cases.cart)
    open_scores[row, cases.cart[row, column] - 1] = -np.inf
    best = np.argpartition(-open_scores, count, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(open_scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def hits(best: Ints, cases: Cases) -> Flags:
    """Return which suggestions were really bought, same shape as ``best``."""
    rows = np.repeat(np.arange(len(best)), best.shape[1])
    found = np.asarray(cases.target[rows, best.ravel()]).ravel() > 0
    return found.reshape(best.shape)
