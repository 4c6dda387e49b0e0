"""Plays the calendar replay through the committed books, as a gateway would."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from examples.complete_journey.artifacts import STORE, Table, book_table, read_json
from examples.complete_journey.assembly import Assembler, Line, StoreLog
from examples.complete_journey.fallback import fallback_tables
from examples.complete_journey.fleet import Fleet
from examples.complete_journey.replay import ReplayLine, read_replay


class Played(NamedTuple):
    """Every line a model may be asked about, in playing order."""

    keys: list[tuple[int, ReplayLine]]
    """Basket and line."""
    rows: npt.NDArray[np.float32]
    fleet: npt.NDArray[np.float32]
    discounted: npt.NDArray[np.bool_]
    by_rule: npt.NDArray[np.bool_]


class Book(NamedTuple):
    """A week's tables and the products rule B says yes to."""

    tables: dict[str, Table]
    rule_b_yes: frozenset[str]


def week_of(day: date) -> int:
    return ((day - date(2016, 12, 31)).days + 5) // 7 + 1


def open_book(week: int) -> Book:
    rule = fallback_tables(week)
    tables = {name: book_table(name, week) for name in ("chain", "store", "plan")}
    return Book(tables, frozenset(rule["plan_yes"]) | frozenset(rule["majority_yes"]))


def play() -> Played:
    keys, rows, fleet, discounted, by_rule = zip(*_lines(), strict=True)
    return Played(
        list(keys), np.stack(rows), np.stack(fleet), np.array(discounted), np.array(by_rule)
    )


def _lines() -> Iterator[
    tuple[tuple[int, ReplayLine], npt.NDArray[np.float32], npt.NDArray[np.float32], bool, bool]
]:
    assembler = Assembler(read_json(STORE / "promo_price_edge.features.json"))
    log, fleet, books = StoreLog(), Fleet.committed(), dict[int, Book]()
    for basket in read_replay("calendar"):
        day = basket.local_time.date()
        week = week_of(day)
        book = books.setdefault(week, books.get(week) or open_book(week))
        log.open_day(day)
        for bought in basket.lines:
            product = str(bought.product)
            if not bought.shelf_minor or book.tables["chain"].row(product) is None:
                continue
            line = Line(product, bought.shelf_minor)
            discounted = bought.loyalty_minor > 0
            yield (
                (basket.basket, bought),
                assembler.rows([line], book.tables, log, day)[0],
                fleet.features(product, day, line.shelf_minor),
                discounted,
                product in book.rule_b_yes,
            )
            assembler.note(line, discounted, book.tables, log)
