"""Recompute every promised figure: ``python -m examples.complete_journey.evaluate``.

Reads the data set from the installed package, rebuilds features, scores the committed models
on the test weeks and compares with the floors. It also rebuilds the committed tables and
compares them bit by bit. Trains nothing but the anomaly path's yardstick. Exits 1 when a
floor is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from examples.complete_journey.anomaly import (
    HISTORY_WEEKS,
    AnomalyFeatures,
    Forest,
    price_statistics,
    serving_statistics,
)
from examples.complete_journey.anomaly_figures import SPLITS, line_figures, overlaid
from examples.complete_journey.artifacts import (
    BOOK_WEEKS,
    DEMO_STORE,
    STORE,
    Table,
    book_table,
    prices_table,
    read_json,
    write_json,
)
from examples.complete_journey.bands import Band
from examples.complete_journey.basket_figures import all_purchases, recommendation, split_cases
from examples.complete_journey.basket_rec import BasketData
from examples.complete_journey.book import chain_table, plan_table, prices_book, store_table
from examples.complete_journey.dataset import TEST_WEEKS, Panel, load_panel
from examples.complete_journey.demand import DemandData
from examples.complete_journey.facts import doubling_facts, redemption_facts
from examples.complete_journey.floors import (
    Bound,
    Check,
    anomaly_checks,
    demand_checks,
    fact_checks,
    price_checks,
    recommendation_checks,
    table,
)
from examples.complete_journey.promo_features import Histories, PromoFeatures
from examples.complete_journey.promo_figures import book_ages, edge_under, price_check, split
from examples.complete_journey.train_anomaly import TRAIN_WEEKS
from examples.complete_journey.train_demand import demand_figures


class Evaluation:
    """The parts of an evaluation; each yields its checks."""

    @cached_property
    def panel(self) -> Panel:
        """Return the cleaned panel, read once."""
        return load_panel()

    def data(self) -> Iterator[Check]:
        """Check the raw facts: line counts, redemptions, coupon doubling."""
        panel = self.panel
        counts = {
            "lines": panel.raw.height,
            "model_lines": panel.lines.height,
            "test_lines": int(panel.rows(*TEST_WEEKS).sum()),
        }
        yield from fact_checks(counts | redemption_facts(panel.raw) | doubling_facts(panel.raw))

    def books(self) -> Iterator[Check]:
        """Check that the committed tables are what the package gives, bit by bit."""
        histories = Histories(self.panel)
        different = 0 if _same(prices_book(serving_statistics(self.panel)), prices_table()) else 1
        for week in BOOK_WEEKS:
            for rebuilt in (
                chain_table(histories, week),
                store_table(histories, DEMO_STORE, week),
                plan_table(DEMO_STORE, week),
            ):
                different += not _same(rebuilt, book_table(rebuilt.meta["table"], week))
        yield Check("committed tables that differ", Bound.EXACTLY, 0, different)

    def price(self) -> Iterator[Check]:
        """Check promo_price on the test weeks, fresh and with stale books."""
        features = PromoFeatures(self.panel)
        bands = _committed_bands()
        accept = bands[0].accept_confidence
        if accept is None:
            raise RuntimeError("bands.json accepts nothing on a fresh book")
        label = split(features, "test").label
        ages = book_ages(edge_under(features, "test"), label, bands)
        yield from price_checks(price_check(features, "test", accept), ages)

    def recommendation(self) -> Iterator[Check]:
        """Check basket_rec on the test weeks' partial carts."""
        data = BasketData(self.panel)
        cases = split_cases(data, all_purchases(data), "test")
        yield from recommendation_checks(recommendation(data, cases, full=None))

    def demand(self) -> Iterator[Check]:
        """Check the forecast on the test weeks."""
        yield from demand_checks(demand_figures(DemandData(self.panel), "test"))

    def anomaly(self) -> Iterator[Check]:
        """Check the anomaly path on the synthetic overlay."""
        features = AnomalyFeatures(Histories(self.panel))
        past = price_statistics(self.panel.lines, HISTORY_WEEKS)
        train = overlaid(features, TRAIN_WEEKS, 1, past)
        forest = Forest(train.x[~train.irregular])
        test = overlaid(features, *SPLITS["test"], serving_statistics(self.panel))
        yield from anomaly_checks(line_figures(test, forest))

    @property
    def parts(self) -> dict[str, Callable[[], Iterator[Check]]]:
        """Return the parts by name."""
        return {
            "data": self.data,
            "books": self.books,
            "price": self.price,
            "recommendation": self.recommendation,
            "demand": self.demand,
            "anomaly": self.anomaly,
        }


def _committed_bands() -> list[Band]:
    rows = read_json(STORE / "bands.json")["bands"]
    return [
        Band(row["age_days_max"] // 7, row["plan"] == "kept", row["accept_confidence"])
        for row in rows
    ]


def _same(rebuilt: Table, committed: Table) -> bool:
    """Tell whether two tables agree in every bit, NaN included."""
    return (
        rebuilt.meta == committed.meta
        and np.array_equal(rebuilt.keys, committed.keys)
        and np.array_equal(rebuilt.values, committed.values, equal_nan=True)
    )


def main() -> int:
    """Run the command line; return the exit status."""
    evaluation = Evaluation()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(evaluation.parts), metavar="PART")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    checks: list[Check] = []
    started = time.perf_counter()
    for name in arguments.only or evaluation.parts:
        part_started = time.perf_counter()
        checks += evaluation.parts[name]()
        print(f"{name}: {time.perf_counter() - part_started:.0f} s", file=sys.stderr, flush=True)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(table(checks))
    missed = [check.name for check in checks if not check.held]
    print(
        f"{len(checks) - len(missed)} of {len(checks)} held in "
        f"{time.perf_counter() - started:.0f} s, {peak_gb:.1f} GB at most"
    )
    if arguments.json:
        write_json(arguments.json, [{**vars(check), "held": check.held} for check in checks])
    if missed:
        print(f"missed: {json.dumps(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
