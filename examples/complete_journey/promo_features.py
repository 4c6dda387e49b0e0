"""The promo_price feature matrix: raw, point in time, one row per receipt line.

Owns the arithmetic of the feature contract (names and order are in ``contract.py``). A
book of age ``a`` weeks knows everything up to the end of week ``w - a``; the store's own
log always reaches up to yesterday. Unknown is NaN; nothing is filled or scaled here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from examples.complete_journey.contract import DEEP_COLUMNS, EDGE_COLUMNS
from examples.complete_journey.dataset import Panel, week_end
from examples.complete_journey.history import History, Ints, rate
from examples.complete_journey.promo_plan import codes_for_lines

Matrix = npt.NDArray[np.float32]

RATIO_CAP = 10.0
STORE_WEEKS = 8
PRICE_WEEKS = 4
_STORE_BITS = 16
_PRICE_BITS = 17


def product_store(product: Ints, store: Ints | int) -> Ints:
    """Return one integer key for (product, store); stores are below 2**16."""
    return (product << _STORE_BITS) | store


def product_price(product: Ints, shelf_c: Ints) -> Ints:
    """Return one integer key for (product, shelf price in cents)."""
    return (product << _PRICE_BITS) | np.minimum(shelf_c, (1 << _PRICE_BITS) - 1)


@dataclass(frozen=True)
class Histories:
    """The panel's discount history by every key that a feature counts over."""

    panel: Panel

    def column(self, name: str) -> Ints:
        """Return one integer column of the model lines."""
        values: Ints = self.panel.lines[name].to_numpy().astype(np.int64)
        return values

    def _discounts(self, key: Ints) -> History:
        return History(key, self.column("day"), self.column("label"))

    @cached_property
    def product(self) -> History:
        """Discounted lines per product, chain-wide."""
        return self._discounts(self.column("product"))

    @cached_property
    def product_type(self) -> History:
        """Discounted lines per product type, chain-wide; type -1 is kept under key 0."""
        return self._discounts(self.column("type_id") + 1)

    @cached_property
    def maker_category(self) -> History:
        """Discounted lines per maker x category, chain-wide; -1 is kept under key 0."""
        return self._discounts(self.column("mc_id") + 1)

    @cached_property
    def store_product(self) -> History:
        """Discounted lines per product of one store."""
        return self._discounts(product_store(self.column("product"), self.column("store")))

    @cached_property
    def store_maker_category(self) -> History:
        """Discounted lines per maker x category of one store."""
        return self._discounts(product_store(self.column("mc_id") + 1, self.column("store")))

    @cached_property
    def product_at_price(self) -> History:
        """Discounted lines per product and exact shelf price, chain-wide."""
        return self._discounts(product_price(self.column("product"), self.column("shelf_c")))

    @cached_property
    def price(self) -> History:
        """Shelf prices (cents) per product, chain-wide."""
        return History(self.column("product"), self.column("day"), self.column("shelf_c"))

    @cached_property
    def store_price(self) -> History:
        """Shelf prices (cents) per product of one store."""
        key = product_store(self.column("product"), self.column("store"))
        return History(key, self.column("day"), self.column("shelf_c"))


def mean_price_c(count: Ints, total_c: Ints) -> npt.NDArray[np.float64]:
    """Return the mean price rounded to a cent (a book prints cents), NaN without lines."""
    return np.rint(rate(count, total_c))


def chain_columns(
    histories: Histories, product: Ints, type_id: Ints, mc_id: Ints, end: Ints
) -> dict[str, npt.NDArray[np.float64]]:
    """Return what a chain-wide book that ends on day ``end`` says about each product.

    Counts are lines, rates the share with a loyalty discount (0..1, NaN = no lines),
    ``price_minor`` the mean shelf price of four weeks (else of all time), in whole cents.
    """
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for prefix, days in (("c1", 7), ("c4", 28), ("ca", 366)):
        count, hits = histories.product.between(product, end - days, end)
        columns[f"{prefix}_n"] = count.astype(np.float64)
        columns[f"{prefix}_r"] = rate(count, hits)
    of_type = rate(*histories.product_type.between(type_id + 1, end - 7, end))
    columns["t1_r"] = np.where(type_id >= 0, of_type, np.nan)
    count, hits = histories.maker_category.between(mc_id + 1, end - 7, end)
    columns["m1_n"] = np.where(mc_id >= 0, count, np.nan)
    columns["m1_r"] = np.where(mc_id >= 0, rate(count, hits), np.nan)
    recent = mean_price_c(*histories.price.between(product, end - 7 * PRICE_WEEKS, end))
    ever = mean_price_c(*histories.price.between(product, end - 366, end))
    columns["price_minor"] = np.where(np.isnan(recent), ever, recent)
    return columns


def store_columns(
    histories: Histories, product: Ints, store: Ints, end: Ints
) -> dict[str, npt.NDArray[np.float64]]:
    """Return what one store's own eight weeks up to day ``end`` say about each product."""
    key = product_store(product, store)
    span = end - 7 * STORE_WEEKS
    count, hits = histories.store_product.between(key, span, end)
    price = mean_price_c(*histories.store_price.between(key, span, end))
    return {"s8_n": count.astype(np.float64), "s8_r": rate(count, hits), "price_minor": price}


def log_columns(
    histories: Histories, product: Ints, mc_id: Ints, store: Ints, day: Ints, week: Ints
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the store's own log of this week before today, by product and maker x category."""
    start = week_end(week - 1)
    count, hits = histories.store_product.between(product_store(product, store), start, day - 1)
    mc_key = product_store(mc_id + 1, store)
    mc_count, mc_hits = histories.store_maker_category.between(mc_key, start, day - 1)
    known = mc_id >= 0
    return {
        "ls_n": count.astype(np.float64),
        "ls_r": rate(count, hits),
        "lm_n": np.where(known, mc_count, np.nan),
        "lm_r": np.where(known, rate(mc_count, mc_hits), np.nan),
    }


def fleet_columns(
    histories: Histories, product: Ints, mc_id: Ints, shelf_c: Ints, day: Ints, week: Ints
) -> dict[str, npt.NDArray[np.float64]]:
    """Return what only the cloud knows: the whole fleet, this week before today.

    ``fp`` counts the same product at the same shelf price over the last seven days.
    """
    start = week_end(week - 1)
    spans = {
        "fw": (histories.product, product, start),
        "fm": (histories.maker_category, mc_id + 1, start),
        "fp": (histories.product_at_price, product_price(product, shelf_c), day - 8),
    }
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for prefix, (history, key, after) in spans.items():
        count, hits = history.between(key, after, day - 1)
        known = mc_id >= 0 if prefix == "fm" else np.full(len(key), True)
        columns[f"{prefix}_n"] = np.where(known, count, np.nan)
        columns[f"{prefix}_r"] = np.where(known, rate(count, hits), np.nan)
    return columns


def capped_ratio(shelf_c: Ints, reference: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return shelf price / reference price clipped to 0..10; NaN where the reference is unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.where(reference > 0, shelf_c / reference, np.nan), 0.0, RATIO_CAP)


class PromoFeatures:
    """Builds promo_price matrices for any mask of the panel's model lines."""

    def __init__(self, panel: Panel) -> None:
        """Look up the plan's codes once; histories are sorted on first use."""
        self.panel = panel
        self.histories = Histories(panel)
        self._plan = codes_for_lines(panel.lines)
        self.label = self.histories.column("label")

    def matrix(
        self,
        rows: npt.NDArray[np.bool_],
        *,
        deep: bool = False,
        age_weeks: int = 1,
        plan_kept: bool = True,
    ) -> Matrix:
        """Return float32 [rows.sum(), 22], or 28 columns when ``deep``.

        Args:
            rows: mask over the model lines.
            deep: add the fleet's columns.
            age_weeks: 1 = last week's book, 2 = it was missed once, ...
            plan_kept: False = this week's plan is missing too (mail and disp NaN).
        """
        take = {
            name: self.histories.column(name)[rows]
            for name in ("product", "type_id", "mc_id", "store", "day", "week", "dow")
        }
        shelf_c = self.histories.column("shelf_c")[rows]
        end = week_end(take["week"] - age_weeks)
        book = chain_columns(self.histories, take["product"], take["type_id"], take["mc_id"], end)
        own = store_columns(self.histories, take["product"], take["store"], end)
        columns = {**book, **own, **self._log(take)}
        plan = self._plan[rows] if plan_kept else np.full((int(rows.sum()), 2), np.nan)
        columns |= {"mail": plan[:, 0], "disp": plan[:, 1]}
        columns |= {"dow": take["dow"].astype(np.float64), "shelf": shelf_c / 100}
        columns["prat"] = capped_ratio(shelf_c, book["price_minor"])
        columns["prat_s"] = capped_ratio(shelf_c, own["price_minor"])
        columns["priv"] = self.histories.column("private")[rows].astype(np.float64)
        if deep:
            columns |= fleet_columns(
                self.histories, take["product"], take["mc_id"], shelf_c, take["day"], take["week"]
            )
        names = DEEP_COLUMNS if deep else EDGE_COLUMNS
        return np.stack([columns[name] for name in names], axis=1).astype(np.float32)

    def _log(self, take: dict[str, Ints]) -> dict[str, npt.NDArray[np.float64]]:
        return log_columns(
            self.histories,
            take["product"],
            take["mc_id"],
            take["store"],
            take["day"],
            take["week"],
        )
