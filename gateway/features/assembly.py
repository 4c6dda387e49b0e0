"""One matrix per basket, from what a model's manifest declares.

Owns the meaning of each kind of source. Refuses to know any model: a column is a table's,
a line's, a ratio, the store's log or the calendar. Unknown is NaN.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite, nan

import numpy as np
import numpy.typing as npt

from gateway.features.store_log import Counts, StoreLog
from gateway.features.tables import FeatureBundle, FeatureTable, Floats, TableSet
from terminal_client.core.basket import DiscountKind, LineItem
from terminal_client.core.feature_contract import (
    Feature,
    LineValue,
    Ratio,
    StoreLogValue,
    TableColumn,
    Weekday,
    table_column,
)
from terminal_client.core.freshness import age_at
from terminal_client.core.store_time import LocalTime

Doubles = npt.NDArray[np.float64]

_DISCOUNTS = {
    "loyalty_minor": DiscountKind.LOYALTY,
    "coupon_minor": DiscountKind.COUPON,
    "coupon_match_minor": DiscountKind.COUPON_MATCH,
    "manual_minor": DiscountKind.MANUAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A model's input for one basket.

    ``missing``: tables that the model reads and that do not hold on the basket's day.
    ``age``: of the oldest book used, at the time of record. A table that is valid for
    certain dates only (a plan) is right or missing, never old, and does not count.
    """

    matrix: Floats
    missing: frozenset[str]
    age: timedelta
    bundles: tuple[FeatureBundle, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """The features that copy one table's columns: places in the row, names, fillers."""

    table: str
    places: npt.NDArray[np.intp]
    columns: tuple[str, ...]
    absent: Floats


class Assembler:
    """Fills rows for one model's features."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._width = len(features)
        self._blocks = _blocks(features)
        self._others = tuple(
            (place, feature)
            for place, feature in enumerate(features)
            if not isinstance(feature.source, TableColumn)
        )
        columns = (table_column(feature.source) for feature in features)
        self._tables = sorted({column.table for column in columns if column is not None})
        self._low = np.array([feature.low for feature in features], np.float32)
        self._high = np.array([feature.high for feature in features], np.float32)

    def rows(
        self,
        lines: Sequence[LineItem],
        at: datetime,
        local: LocalTime,
        tables: TableSet,
        log: StoreLog,
    ) -> Rows:
        """Return one row per line, judged at ``at`` (``local`` is the store's reading of it)."""
        matrix = np.full((len(lines), self._width), nan, np.float32)
        ids = [line.item_id.encode() for line in lines]
        found: dict[str, _Lookup] = {}
        bundles: dict[str, FeatureBundle] = {}
        age = timedelta(0)
        for name in self._tables:
            held = tables.on(name, local.date)
            if held is None:
                continue
            table, bundle = held
            found[name] = _Lookup(table, ids)
            bundles[bundle.digest] = bundle
            if not table.manifest.first_date:
                age = max(age, age_at(bundle.manifest.as_of, at))
        for block in self._blocks:
            if block.table in found:
                matrix[:, block.places] = found[block.table].block(block)
        fill = _Fill(lines, found, log, local)
        for place, feature in self._others:
            matrix[:, place] = fill.values(feature)
        # A model never sees what its contract excludes: one odd line must not upset it.
        np.clip(matrix, self._low, self._high, out=matrix)
        return Rows(
            matrix=matrix,
            missing=frozenset(self._tables) - found.keys(),
            age=age,
            bundles=tuple(bundles.values()),
        )


def _blocks(features: Sequence[Feature]) -> tuple[_Block, ...]:
    by_table: dict[str, list[tuple[int, TableColumn]]] = {}
    for place, feature in enumerate(features):
        if isinstance(feature.source, TableColumn):
            by_table.setdefault(feature.source.table, []).append((place, feature.source))
    return tuple(
        _Block(
            table,
            np.array([place for place, _ in copied], np.intp),
            tuple(column.column for _, column in copied),
            np.array([column.absent for _, column in copied], np.float32),
        )
        for table, copied in by_table.items()
    )


class _Lookup:
    """A table, with the basket's items looked up once."""

    def __init__(self, table: FeatureTable, item_ids: Sequence[bytes]) -> None:
        self.table = table
        self.places, self.listed = table.find(item_ids)

    def block(self, block: _Block) -> Floats:
        """Return several columns at once; an unknown column is all NaN."""
        columns = self.table.manifest.columns
        known = [columns.index(name) if name in columns else -1 for name in block.columns]
        values: Floats = self.table.values[self.places][:, known]
        values[~self.listed] = block.absent
        values[:, [at for at, place in enumerate(known) if place < 0]] = nan
        return values

    def column(self, name: str) -> Floats:
        """Return the column's value for each line; NaN where it is not listed."""
        try:
            values: Floats = self.table.values[self.places, self.table.column(name)]
        except KeyError:
            return np.full(len(self.places), nan, np.float32)
        values[~self.listed] = nan
        return values


class TableGrouping:
    """Groups items by a table's column: maker and category, say."""

    def __init__(self, table: FeatureTable, column: str) -> None:
        self._table = table
        self._column = column

    @property
    def identity(self) -> Hashable:
        """The bundle's table and column: they never change under one digest."""
        return (self._table.identity, self._column)

    def group(self, item_ids: Iterable[str]) -> list[Hashable | None]:
        """Return each item's value of the column; None where it has none."""
        lookup = _Lookup(self._table, [item.encode() for item in item_ids])
        values = lookup.column(self._column).tolist()
        return [value if isfinite(value) else None for value in values]


class _Fill:
    """The columns of one basket."""

    def __init__(
        self,
        lines: Sequence[LineItem],
        found: dict[str, _Lookup],
        log: StoreLog,
        local: LocalTime,
    ) -> None:
        self._lines = lines
        self._found = found
        self._log = log
        self._local = local
        self._fields: dict[str, Doubles] = {}

    def values(self, feature: Feature) -> Floats | Doubles | float:
        """Return one value per line, or one for all."""
        source = feature.source
        match source:
            case TableColumn():
                raise AssertionError("table columns are copied in blocks")
            case LineValue(field=field, divisor=divisor):
                return self._field(field) / divisor
            case Ratio():
                return self._ratio(source)
            case StoreLogValue():
                return self._logged(source)
            case Weekday():
                return float(self._local.weekday)

    def _table(self, column: TableColumn) -> Floats | float:
        lookup = self._found.get(column.table)
        return nan if lookup is None else lookup.column(column.column)

    def _field(self, name: str) -> Doubles:
        if name not in self._fields:
            values = [_line_field(line, name) for line in self._lines]
            self._fields[name] = np.array(values, np.float64)
        return self._fields[name]

    def _ratio(self, ratio: Ratio) -> Doubles:
        under = ratio.under
        if isinstance(under, TableColumn):
            below = np.asarray(self._table(under), np.float64)
        else:
            below = self._field(under.field) / under.divisor
        over = self._field(ratio.over)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(below > 0, over / below, nan)

    def _logged(self, source: StoreLogValue) -> Floats | float:
        if source.by is None:
            counts = self._log.before(self._local.date)
            groups: Sequence[Hashable | None] = [line.item_id for line in self._lines]
        else:
            lookup = self._found.get(source.by.table)
            if lookup is None:
                return nan
            grouping = TableGrouping(lookup.table, source.by.column)
            counts = self._log.before(self._local.date, grouping)
            values = lookup.column(source.by.column).tolist()
            groups = [value if isfinite(value) else None for value in values]
        read = _share if source.share else _count
        return np.array([read(counts, group) for group in groups], np.float32)


def _count(counts: Counts, group: Hashable | None) -> float:
    return nan if group is None else float(counts.get(group, (0, 0))[0])


def _share(counts: Counts, group: Hashable | None) -> float:
    lines, discounted = (0, 0) if group is None else counts.get(group, (0, 0))
    return discounted / lines if lines else nan


def _line_field(line: LineItem, name: str) -> float:
    match name:
        case "shelf_minor":
            return _unit_price(line, line.regular_unit_price_minor)
        case "paid_minor":
            return _unit_price(line, line.actual_unit_price_minor)
        case "quantity":
            return line.quantity_milli / 1000
        case "extended_minor":
            return float(line.extended_minor)
        case "gross_minor":
            return float(line.extended_minor + sum(d.amount_minor for d in line.discounts))
        case _:
            kind = _DISCOUNTS[name]
            return float(sum(d.amount_minor for d in line.discounts if d.kind is kind))


def _unit_price(line: LineItem, price: int) -> float:
    """Return the price of one unit in minor units: `3 for 5.00` and finer scales count."""
    if not line.unit_price_scale and line.price_quantity_milli in (0, 1000):
        return float(price)
    quantity = (line.price_quantity_milli or 1000) / 1000
    return float(price / 10**line.unit_price_scale / quantity)
