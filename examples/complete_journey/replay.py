"""Real baskets of the demo store, to be played against a gateway.

One JSON line per basket: ``b`` basket id, ``t`` store-local time (ISO, no offset), ``h``
household id, ``s`` store id, ``l`` lines of [product, quantity, net, loyalty discount, maker
coupon, coupon match], money in integer cents for the whole line. ``net`` is what the
receipt shows; the unit shelf price is (net + loyalty + match) / quantity.

*Calendar order* keeps every basket in its week, which is what accuracy needs. *Folded year*
lays the store's whole year on one day by time of day, which is what load needs: the panel
is a small share of a real store's traffic, and a folded year is nothing that ever happened.

Reading needs no training package; ``replay_source.py`` derives the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from examples.complete_journey.artifacts import REPLAY, read_lines

FILES = {
    "calendar": REPLAY / "replay-weeks47-53.jsonl.gz",
    "folded": REPLAY / "replay-folded-year.jsonl.gz",
}


class ReplayLine(NamedTuple):
    """One receipt line; money is the whole line's, in cents."""

    product: int
    quantity: int
    net_minor: int
    loyalty_minor: int
    coupon_minor: int
    match_minor: int

    @property
    def shelf_minor(self) -> int | None:
        """Unit price before discounts, rounded half up; None when quantity is not positive."""
        if self.quantity <= 0:
            return None
        gross = self.net_minor + self.loyalty_minor + self.match_minor
        return (2 * gross + self.quantity) // (2 * self.quantity)


@dataclass(frozen=True)
class ReplayBasket:
    """One real basket; ``local_time`` is naive store-local time."""

    basket: int
    local_time: datetime
    household: int
    store: int
    lines: tuple[ReplayLine, ...]


def read_replay(
    kind: Literal["calendar", "folded"], path: Path | None = None
) -> Iterator[ReplayBasket]:
    """Yield the baskets of a committed replay (or of ``path``), in playing order."""
    for basket in read_lines(path or FILES[kind]):
        yield ReplayBasket(
            basket["b"],
            datetime.fromisoformat(basket["t"]),
            basket["h"],
            basket["s"],
            tuple(ReplayLine(*line) for line in basket["l"]),
        )
