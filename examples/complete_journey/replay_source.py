"""Derive the committed replays from the package; ``replay.py`` documents them."""

from __future__ import annotations

from typing import Any

import polars as pl

from examples.complete_journey.artifacts import DEMO_STORE, write_lines
from examples.complete_journey.dataset import TEST_WEEKS
from examples.complete_journey.replay import FILES

_LINE = ("product", "qty", "net_c", "loy_c", "cpn_c", "match_c")


def write_replays(raw: pl.DataFrame) -> None:
    """Derive both committed files from the raw lines."""
    store = raw.filter(pl.col("store") == DEMO_STORE)
    calendar = store.filter(pl.col("week").is_between(*TEST_WEEKS))
    write_lines(FILES["calendar"], _baskets(calendar, ["ts", "basket"]))
    folded = store.with_columns(clock=pl.col("ts").dt.time())
    write_lines(FILES["folded"], _baskets(folded, ["clock", "ts", "basket"]))


def _baskets(lines: pl.DataFrame, order: list[str]) -> list[dict[str, Any]]:
    grouped = (
        lines.sort(*order, *_LINE)
        .group_by("basket", maintain_order=True)
        .agg(pl.first("ts"), pl.first("household"), pl.first("store"), *_LINE)
    )
    return [
        {
            "b": row["basket"],
            "t": row["ts"].isoformat(),
            "h": row["household"],
            "s": row["store"],
            "l": [list(line) for line in zip(*(row[name] for name in _LINE), strict=True)],
        }
        for row in grouped.iter_rows(named=True)
    ]
