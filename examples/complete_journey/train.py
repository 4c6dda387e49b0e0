"""Rebuild every committed file from the data set: ``python -m examples.complete_journey.train``.

Seeded; a second run on the same machine writes the same bytes. ``--only`` rebuilds parts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import cached_property

from examples.complete_journey.coupon_source import write_coupons
from examples.complete_journey.dataset import Panel, load_panel
from examples.complete_journey.promo_features import PromoFeatures
from examples.complete_journey.replay_source import write_replays
from examples.complete_journey.train_anomaly import train_receipt_anomaly
from examples.complete_journey.train_basket import train_basket
from examples.complete_journey.train_demand import train_demand_forecast
from examples.complete_journey.train_promo import train_promo


class Workshop:
    """The loaded panel, and the parts that can be rebuilt from it."""

    @cached_property
    def panel(self) -> Panel:
        """Return the cleaned panel, read once."""
        return load_panel()

    def promo_price(self) -> None:
        """Rebuild the price check: models, bands, price books, fleet log, cards."""
        train_promo(PromoFeatures(self.panel))

    def basket_rec(self) -> None:
        """Rebuild the recommender: models, vocabulary, households, cards."""
        train_basket(self.panel)

    def receipt_anomaly(self) -> None:
        """Rebuild the receipt anomaly model on its synthetic overlay, and its card."""
        train_receipt_anomaly(self.panel)

    def demand(self) -> None:
        """Rebuild the demand forecast and its card."""
        train_demand_forecast(self.panel)

    def replay(self) -> None:
        """Derive the demo store's replays."""
        write_replays(self.panel.raw)

    def coupons(self) -> None:
        """Derive campaigns, coupons, redemptions and coupon lines."""
        write_coupons(self.panel.raw)

    @property
    def parts(self) -> dict[str, Callable[[], None]]:
        """Return the parts by name, in building order."""
        return {
            "replay": self.replay,
            "coupons": self.coupons,
            "promo_price": self.promo_price,
            "basket_rec": self.basket_rec,
            "receipt_anomaly": self.receipt_anomaly,
            "demand": self.demand,
        }


def main() -> None:
    """Run the command line."""
    workshop = Workshop()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(workshop.parts), metavar="PART")
    chosen = parser.parse_args().only or list(workshop.parts)
    for name in chosen:
        started = time.perf_counter()
        workshop.parts[name]()
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
