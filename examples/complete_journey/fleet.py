"""What only the cloud knows: the whole fleet's receipts of the current week.

The deep endpoint receives the edge row and the line's keys and joins these six columns
itself. The log behind them (every store's lines of weeks 46-53) is committed under
``artifacts/cloud/`` and exists in no store artifact.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from examples.complete_journey.artifacts import CLOUD, STORE
from examples.complete_journey.history import History, Ints, rate

FLEET_WEEKS = (46, 53)
_PRICE_BITS = 17


@dataclass(frozen=True)
class FleetLog:
    """Receipt lines of all stores: product, day of 2017 (1-based), shelf price, discounted."""

    product: Ints
    day: Ints
    shelf_c: Ints
    discounted: Ints

    def save(self, path: Path) -> None:
        """Write the log compactly, ordered by day, product and price; no store, no household."""
        order = np.lexsort((self.discounted, self.shelf_c, self.product, self.day))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path,
            product=self.product[order].astype(np.int32),
            day=self.day[order].astype(np.int16),
            shelf_c=self.shelf_c[order].astype(np.int32),
            discounted=self.discounted[order].astype(np.int8),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved log.

        Raises:
            FileNotFoundError: there is none.
        """
        with np.load(path, allow_pickle=False) as archive:
            columns = (archive[name] for name in ("product", "day", "shelf_c", "discounted"))
            return cls(*(column.astype(np.int64) for column in columns))


class Fleet:
    """Answers the deep model's six columns for any product, day and shelf price."""

    def __init__(self, log: FleetLog, products: Ints, mc_ids: Ints) -> None:
        """Index the log; ``products`` (sorted) and ``mc_ids`` (-1 = unknown) are the items."""
        self._products, self._mc_ids = products, mc_ids
        maker = self._mc_id(log.product)
        self._by_product = History(log.product, log.day, log.discounted)
        self._by_maker = History(maker + 1, log.day, log.discounted)
        self._by_price = History(_at_price(log.product, log.shelf_c), log.day, log.discounted)

    @classmethod
    def committed(cls) -> Self:
        """Return the fleet of the committed log (about 0.1 s, 20 MB)."""
        with np.load(STORE / "tables" / "items.npz", allow_pickle=False) as items:
            products, mc_ids = items["keys"].astype(np.int64), items["mc_id"].astype(np.int64)
        order = np.argsort(products)
        return cls(FleetLog.load(CLOUD / "fleet.npz"), products[order], mc_ids[order])

    def features(self, product_id: str, on: date, shelf_minor: int) -> npt.NDArray[np.float32]:
        """Return (fw_n, fw_r, fm_n, fm_r, fp_n, fp_r) of one line, float32 [6].

        Counts are lines, rates 0..1; NaN is unknown. Only days before ``on`` are seen. A
        product id that is no number counts nothing.
        """
        product = int(product_id) if product_id.isascii() and product_id.isdigit() else 0
        day = (on - date(2016, 12, 31)).days
        found: npt.NDArray[np.float32] = self.rows(
            np.array([product]), np.array([day]), np.array([shelf_minor])
        )[0]
        return found

    def rows(self, product: Ints, day: Ints, shelf_c: Ints) -> npt.NDArray[np.float32]:
        """Return the columns of many lines, float32 [n, 6]; see ``features``."""
        # Weeks run Monday to Sunday; day 1 is a Sunday, so this is the last Sunday before.
        sunday = day - (day - 2) % 7 - 1
        maker = self._mc_id(product)
        known = maker >= 0
        weekly, by_maker, at_price = (
            self._by_product.between(product, sunday, day - 1),
            self._by_maker.between(maker + 1, sunday, day - 1),
            self._by_price.between(_at_price(product, shelf_c), day - 8, day - 1),
        )
        columns = (
            weekly[0],
            rate(*weekly),
            np.where(known, by_maker[0], np.nan),
            np.where(known, rate(*by_maker), np.nan),
            at_price[0],
            rate(*at_price),
        )
        return np.stack(columns, axis=1).astype(np.float32)

    def _mc_id(self, product: Ints) -> Ints:
        at = np.minimum(np.searchsorted(self._products, product), len(self._products) - 1)
        return np.where(self._products[at] == product, self._mc_ids[at], -1)


def _at_price(product: Ints, shelf_c: Ints) -> Ints:
    return (product << _PRICE_BITS) | np.clip(shelf_c, 0, (1 << _PRICE_BITS) - 1)
