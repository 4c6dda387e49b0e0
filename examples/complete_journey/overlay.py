"""A SYNTHETIC overlay of irregular lines on copies of real baskets.

The panel has no fraud label, so none of this happened. It exists to exercise the anomaly
path and to compare detectors; how well a model finds these lines says how well it learnt
this generator, no more. Sweethearting without a scan leaves no trace on a receipt and is
not here.
"""

from __future__ import annotations

import numpy as np
import polars as pl

SCENARIOS = ("price_override", "fake_discount", "coupon_stack", "ticket_switch", "qty_manip")
BASKET_SHARE = 0.08
MOST_LINES = 3
_DEAR_C = 500
"""Ticket switching pays for items dearer than this (cents)."""
_ITEM = ("product", "type_id", "mc_id", "private", "qty", "net_c", "loy_c", "cpn_c", "match_c")


def synthetic_overlay(lines: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the lines with some replaced, and a ``scenario`` column (null = real).

    8 % of the baskets get 1-3 irregular lines; each line its own random scenario. The same
    seed gives the same overlay.
    """
    rng = np.random.default_rng(seed)
    basket = lines["basket"].to_numpy()
    names = np.unique(basket)
    hit = names[rng.random(len(names)) < BASKET_SHARE]
    # A random rank inside each basket chooses its lines without looking at them.
    ranked = pl.DataFrame({"basket": basket, "draw": rng.random(len(basket))}).with_columns(
        rank=pl.col("draw").rank("ordinal").over("basket")
    )
    wanted = dict(zip(hit.tolist(), rng.integers(1, MOST_LINES + 1, len(hit)), strict=True))
    quota = np.array([wanted.get(name, 0) for name in basket.tolist()])
    rows = np.flatnonzero(ranked["rank"].to_numpy() <= quota)
    kind = rng.integers(0, len(SCENARIOS), len(rows))
    # An item that is not dear is no reason to switch tickets; its line gets another scenario.
    switch = SCENARIOS.index("ticket_switch")
    cheap = lines["shelf_c"].to_numpy()[rows] < _DEAR_C
    kind = np.where((kind == switch) & cheap, rng.integers(0, switch, len(rows)), kind)
    return _replaced(lines, rows, kind, rng)


def _replaced(
    lines: pl.DataFrame, rows: np.ndarray, kind: np.ndarray, rng: np.random.Generator
) -> pl.DataFrame:
    columns = {name: lines[name].to_numpy().astype(np.int64).copy() for name in _ITEM}
    makers = (_override, _fake_discount, _coupon_stack, None, _multiply)
    for index, maker in enumerate(makers):
        chosen = rows[kind == index]
        if maker is None:
            _switch_tickets(lines, columns, chosen, rng)
        else:
            maker(columns, chosen, rng)
    names = np.full(len(lines), None, dtype=object)
    names[rows] = np.array(SCENARIOS, dtype=object)[kind]
    gross = pl.col("net_c") + pl.col("loy_c") + pl.col("match_c")
    return (
        lines.with_columns(**{name: pl.Series(values) for name, values in columns.items()})
        .with_columns(
            scenario=pl.Series(names.tolist(), dtype=pl.String),
            shelf_c=(2 * gross + pl.col("qty")) // (2 * pl.col("qty")),
        )
        .filter(pl.col("shelf_c") > 0)
    )


def _override(c: dict[str, np.ndarray], at: np.ndarray, rng: np.random.Generator) -> None:
    """The cashier keys a price of 20-70 %."""
    c["net_c"][at] = np.rint(c["net_c"][at] * rng.uniform(0.2, 0.7, len(at)))


def _fake_discount(c: dict[str, np.ndarray], at: np.ndarray, rng: np.random.Generator) -> None:
    """A loyalty discount of 20-50 % that no promotion gave."""
    taken = np.rint(c["net_c"][at] * rng.uniform(0.2, 0.5, len(at))).astype(np.int64)
    c["loy_c"][at] += taken
    c["net_c"][at] -= taken


def _coupon_stack(c: dict[str, np.ndarray], at: np.ndarray, rng: np.random.Generator) -> None:
    """More coupons: another 30-90 % of what was to pay, in steps of 5 cents."""
    left = np.maximum(c["net_c"][at] - c["cpn_c"][at], 0)
    c["cpn_c"][at] += np.rint(left * rng.uniform(0.3, 0.9, len(at)) / 5).astype(np.int64) * 5


def _multiply(c: dict[str, np.ndarray], at: np.ndarray, rng: np.random.Generator) -> None:
    """Two to four times the quantity, money with it."""
    factor = rng.integers(2, 5, len(at))
    for name in ("qty", "net_c", "loy_c", "cpn_c", "match_c"):
        c[name][at] *= factor


def _switch_tickets(
    lines: pl.DataFrame, c: dict[str, np.ndarray], at: np.ndarray, rng: np.random.Generator
) -> None:
    """A dear item is rung up as a real produce line of the same week, all columns copied.

    Copying whole real lines matters: a made-up produce line has giveaways of its own.
    """
    week = lines["week"].to_numpy()
    produce = np.flatnonzero((lines["department"] == "PRODUCE").to_numpy())
    for number in np.unique(week[at]):
        mine = at[week[at] == number]
        source = rng.choice(produce[week[produce] == number], len(mine))
        for values in c.values():
            values[mine] = values[source]
