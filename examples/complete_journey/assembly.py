"""Assemble promo_price rows from ``features.json``, book tables and the store's own log.

A plain reference for any gateway: it knows the contract's five kinds of source and no
column by name. Needs numpy alone. A test holds its rows against the training matrix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from examples.complete_journey.artifacts import Table

UNKNOWN = float("nan")


@dataclass(frozen=True)
class Line:
    """What a register knows of a scanned line; ``shelf_minor`` is the unit price in cents."""

    product: str
    shelf_minor: int


@dataclass
class StoreLog:
    """The store's own receipts of this week: per key, how many lines and how many discounted.

    A day's lines count from the next day on. Filled in calendar order.
    """

    _counts: dict[tuple[str, float | str], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    _today: list[tuple[str, float | str, bool]] = field(default_factory=list)
    _date: date | None = None

    def open_day(self, day: date) -> None:
        """Move to ``day``: yesterday's lines start to count, a new week starts empty.

        Raises:
            ValueError: ``day`` lies before the day already open.
        """
        if self._date is not None and day < self._date:
            raise ValueError(f"{day} is before {self._date}, which is already open")
        if self._date is not None and day > self._date:
            for log, key, discounted in self._today:
                count = self._counts[log, key]
                count[0] += 1
                count[1] += discounted
            self._today.clear()
            if _monday(day) != _monday(self._date):
                self._counts.clear()
        self._date = day

    def add(self, log: str, key: float | str, discounted: bool) -> None:
        """Note one line of the open day under one log's key."""
        self._today.append((log, key, discounted))

    def lookup(self, log: str, key: float | str) -> tuple[int, int]:
        """Return (lines, discounted lines) of this week before the open day."""
        count = self._counts.get((log, key), [0, 0])
        return count[0], count[1]


class Assembler:
    """Turns lines into rows for one contract."""

    def __init__(self, contract: Mapping[str, Any]) -> None:
        """Take a parsed ``features.json``."""
        self._columns = contract["columns"]
        self._logs = contract["logs"]

    def rows(
        self, lines: list[Line], tables: Mapping[str, Table], log: StoreLog, day: date
    ) -> npt.NDArray[np.float32]:
        """Return float32 [len(lines), columns]; a table left out of ``tables`` is unknown."""
        return np.array(
            [[self._value(c, line, tables, log, day) for c in self._columns] for line in lines],
            np.float32,
        ).reshape(len(lines), len(self._columns))

    def note(
        self, line: Line, discounted: bool, tables: Mapping[str, Table], log: StoreLog
    ) -> None:
        """Enter a line of a finished receipt into every log of the contract."""
        for name, spec in self._logs.items():
            key = self._log_key(spec, line, tables)
            if key is not None:
                log.add(name, key, discounted)

    def _value(
        self,
        column: Mapping[str, Any],
        line: Line,
        tables: Mapping[str, Table],
        log: StoreLog,
        day: date,
    ) -> float:
        kind, _, rest = column["source"].partition(":")
        if kind == "table":
            return _cell(tables, rest, line.product, column.get("absent", UNKNOWN))
        if kind == "line":
            name, _, scale = rest.partition("/")
            return float(getattr(line, name)) / float(scale)
        if kind == "ratio":
            name, _, reference = rest.partition("/")
            below = _cell(tables, reference, line.product, UNKNOWN)
            if not below > 0:
                return UNKNOWN
            share = float(getattr(line, name)) / below
            return min(max(share, float(column["min"])), float(column["max"]))
        if kind == "log":
            name, _, part = rest.partition(".")
            return self._logged(name, part, line, tables, log)
        if column["source"] == "basket:dow":
            return float(day.isoweekday())
        raise ValueError(f"column {column['name']}: no such source {column['source']!r}")

    def _logged(
        self, name: str, part: str, line: Line, tables: Mapping[str, Table], log: StoreLog
    ) -> float:
        key = self._log_key(self._logs[name], line, tables)
        if key is None:
            return UNKNOWN
        count, hits = log.lookup(name, key)
        if part == "n":
            return float(count)
        return hits / count if count else UNKNOWN

    def _log_key(
        self, spec: Mapping[str, str], line: Line, tables: Mapping[str, Table]
    ) -> float | str | None:
        """Return the line's key in a log: its product, or a group id from a table."""
        if spec["by"] == "product":
            return line.product
        group = _cell(tables, spec["by"].removeprefix("table:"), line.product, UNKNOWN)
        return None if np.isnan(group) else group


def _cell(tables: Mapping[str, Table], place: str, key: str, absent: float) -> float:
    """Return a table's value for a key; unknown without the table, ``absent`` without the key."""
    name, _, column = place.partition(".")
    table = tables.get(name)
    if table is None:
        return UNKNOWN
    row = table.row(key)
    return absent if row is None else float(row[table.columns.index(column)])


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
