"""Where each column of a model's input row comes from.

Owns the kinds of source that a model manifest may declare. Whoever assembles rows needs to
know these kinds only, never what a model means: a new model on the same kinds is data. In
a row, NaN is "unknown"; encodings happen inside the model's own graph. A source is written

* ``table:T.C``: column C of feature table T, looked up by the line's item id;
* ``line:F`` or ``line:F/K``: the line's field F, divided by the constant K;
* ``ratio:F/T.C`` or ``ratio:F/G``: field F over a table's column or over field G, clipped
  to the column's range; unknown unless what it is divided by is above 0;
* ``log:L.n`` or ``log:L.r``: the store's own log L (see ``LogGroup``), this store, this ISO
  week before the basket's day: lines counted, and the share of them with a loyalty discount;
* ``basket:dow``: the basket's store-local weekday, Monday 1 to Sunday 7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, nan

from terminal_client.core.reading import DocumentError, Fields

LINE_FIELDS = (
    "shelf_minor",
    "paid_minor",
    "extended_minor",
    "gross_minor",
    "quantity",
    "loyalty_minor",
    "coupon_minor",
    "coupon_match_minor",
    "manual_minor",
)
"""Numbers of one line. ``shelf_minor`` and ``paid_minor`` are the regular and the actual
price of one unit; ``gross_minor`` is ``extended_minor`` plus every discount; the discounts
are sums by kind; ``quantity`` is in units."""

BY_ITEM = "product"
_TABLE = re.compile(r"([a-z][a-z0-9_]{0,63})\.([a-z][a-z0-9_]{0,63})\Z")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?\Z")
_REMEDY = "write table:T.C, line:F/K, ratio:F/T.C, log:L.n, log:L.r or basket:dow"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A column of a feature table.

    ``absent`` is the value for an item that a present table does not list; an absent
    table always reads as NaN.
    """

    table: str
    column: str
    absent: float = nan


@dataclass(frozen=True, slots=True, kw_only=True)
class LineValue:
    """A field of the line, divided by ``divisor``."""

    field: str
    divisor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """``over / under``, clipped to ``[low, high]``; NaN unless ``under > 0``."""

    over: str
    under: TableColumn | LineValue
    low: float = -inf
    high: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLogValue:
    """Counts of the store's own log: lines, or the share with a loyalty discount.

    Counted by item (``by`` is None), or by the value of a table's column that items share.
    The share is NaN where nothing was counted; by a column, both are NaN for an item that
    has no value there.
    """

    share: bool
    by: TableColumn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekday:
    """The basket's store-local weekday."""


Source = TableColumn | LineValue | Ratio | StoreLogValue | Weekday
Logs = Mapping[str, TableColumn | None]
"""A log's name to the column it is grouped by; None: by item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column; ``unit`` and the range are the contract, NaN is always allowed."""

    name: str
    source: Source
    unit: str = ""
    low: float = -inf
    high: float = inf


def table_column(source: Source) -> TableColumn | None:
    """Return the table column that ``source`` reads, if it reads one."""
    match source:
        case TableColumn() as column:
            return column
        case Ratio(under=TableColumn() as column):
            return column
        case StoreLogValue(by=column):
            return column
        case _:
            return None


def read_log(value: object, path: str) -> TableColumn | None:
    """Read ``{"by": "product"}`` or ``{"by": "table:T.C"}``; raises DocumentError."""
    fields = Fields(value, path)
    by = fields.text("by", longest=140)
    fields.text("span", "")
    fields.close()
    if by == BY_ITEM:
        return None
    kind, _, rest = by.partition(":")
    if kind != "table":
        raise DocumentError(fields.at("by"), f"is {by!r:.40}", "write product or table:T.C")
    return _column(rest, nan, fields.at("by"))


def read_feature(value: object, path: str, logs: Logs) -> Feature:
    """Read one feature from its JSON value.

    Raises:
        DocumentError: something is missing, mistyped or unknown.
    """
    fields = Fields(value, path)
    low, high = _number_or(fields, "min", -inf), _number_or(fields, "max", inf)
    if low > high:
        raise DocumentError(fields.at("min"), "is above max", "write min <= max")
    absent = _number_or(fields, "absent", nan)
    feature = Feature(
        name=fields.text("name", longest=64),
        source=_source(fields, absent, (low, high), logs),
        unit=fields.text("unit", "", longest=64),
        low=low,
        high=high,
    )
    fields.close()
    return feature


def _source(fields: Fields, absent: float, limits: tuple[float, float], logs: Logs) -> Source:
    text, path = fields.text("source", longest=200), fields.at("source")
    kind, _, rest = text.partition(":")
    match kind:
        case "table":
            return _column(rest, absent, path)
        case "line":
            return _line(rest, path)
        case "ratio":
            over, _, below = rest.partition("/")
            under = _column(below, nan, path) if "." in below else _line(below, path)
            return Ratio(over=_field(over, path), under=under, low=limits[0], high=limits[1])
        case "log":
            name, _, what = rest.partition(".")
            if name in logs and what in ("n", "r"):
                return StoreLogValue(share=what == "r", by=logs[name])
            raise DocumentError(path, f"is {text!r:.80}", "name a log of `logs`, .n or .r")
        case "basket" if rest == "dow":
            return Weekday()
    raise DocumentError(path, f"is {text!r:.80}", _REMEDY)


def _column(text: str, absent: float, path: str) -> TableColumn:
    match = _TABLE.match(text)
    if match is None:
        raise DocumentError(path, f"names {text!r:.80}", "write T.C, table and column")
    return TableColumn(table=match[1], column=match[2], absent=absent)


def _line(text: str, path: str) -> LineValue:
    field, slash, divisor = text.partition("/")
    if slash and (not _NUMBER.match(divisor) or not float(divisor)):
        raise DocumentError(path, f"divides by {divisor!r:.40}", "write a number above 0")
    return LineValue(field=_field(field, path), divisor=float(divisor) if slash else 1.0)


def _field(name: str, path: str) -> str:
    if name not in LINE_FIELDS:
        raise DocumentError(
            path, f"names the field {name!r:.40}", f"use one of {', '.join(LINE_FIELDS)}"
        )
    return name


def _number_or(fields: Fields, key: str, default: float) -> float:
    """Return a number; absent or null means ``default``."""
    if not fields.has(key) or fields.raw(key) is None:
        return default
    return fields.number(key, -1e18, 1e18)
