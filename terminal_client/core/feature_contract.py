"""Where each column of a model's input row comes from.

Owns the kinds of source that a model manifest may declare. Whoever assembles rows needs to
know these kinds only, never what a model means: a new model on the same kinds is data. In
a row, NaN is "unknown"; encodings happen inside the model's own graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

from terminal_client.core.reading import DocumentError, Fields

LINE_FIELDS = (
    "regular_unit_price_minor",
    "actual_unit_price_minor",
    "extended_minor",
    "quantity_milli",
    "loyalty_minor",
    "coupon_minor",
    "coupon_match_minor",
    "manual_minor",
    "gross_minor",
)
"""Numbers of one line. Unit prices count ``unit_price_scale`` in; the ``*_minor`` discounts
are sums by kind; ``gross_minor`` is ``extended_minor`` plus every discount."""

LOG_VALUES = ("line_count", "discounted_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A column of a feature table, looked up by the line's item id.

    ``absent`` is the value for an item that a present table does not list; an absent
    table always reads as NaN.
    """

    table: str
    column: str
    absent: float = nan


@dataclass(frozen=True, slots=True, kw_only=True)
class LineValue:
    """A field of the line, multiplied by ``scale``."""

    field: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """``over * scale / under``, clipped to ``[low, high]``; NaN unless ``under > 0``."""

    over: str
    under: TableColumn | LineValue
    scale: float = 1.0
    low: float = -inf
    high: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLogValue:
    """This store, this ISO week, before the basket's day.

    Counted by item, or by the value of table column ``by`` that items share. The share is
    NaN where nothing was counted; by a column, an item without a value is NaN throughout.
    """

    value: str
    by: TableColumn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekday:
    """The basket's store-local weekday: Monday 1 to Sunday 7."""


Source = TableColumn | LineValue | Ratio | StoreLogValue | Weekday


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column; ``unit`` and the range are the contract, NaN is always allowed."""

    name: str
    source: Source
    unit: str = ""
    low: float = -inf
    high: float = inf


def tables_of(feature: Feature) -> frozenset[str]:
    """Return the names of the tables that ``feature`` reads."""
    match feature.source:
        case TableColumn(table=table) | Ratio(under=TableColumn(table=table)):
            return frozenset({table})
        case StoreLogValue(by=TableColumn(table=table)):
            return frozenset({table})
        case _:
            return frozenset()


def read_feature(value: object, path: str) -> Feature:
    """Read one feature from its JSON value.

    Raises:
        DocumentError: something is missing, mistyped or unknown.
    """
    fields = Fields(value, path)
    inner = fields.object("source")
    low, high = _range(fields, "min", "max")
    feature = Feature(
        name=fields.text("name", longest=64),
        source=_read_source(inner),
        unit=fields.text("unit", "", longest=64),
        low=low,
        high=high,
    )
    inner.close()
    fields.text("note", "")
    fields.close()
    return feature


def _read_source(fields: Fields) -> Source:
    kind = fields.text("kind")
    match kind:
        case "table":
            return _column(fields)
        case "line":
            return _line(fields, "field")
        case "ratio":
            low, high = _range(fields, "low", "high")
            return Ratio(
                over=_word(fields, "over", LINE_FIELDS),
                under=_line(fields, "under") if fields.has("under") else _column(fields),
                scale=fields.number("scale", -1e9, 1e9, 1.0),
                low=low,
                high=high,
            )
        case "store_log":
            by = _column(fields.object("by"), closed=True) if fields.has("by") else None
            return StoreLogValue(value=_word(fields, "value", LOG_VALUES), by=by)
        case "weekday":
            return Weekday()
        case _:
            raise DocumentError(
                fields.at("kind"),
                f"is {kind!r:.40}",
                "write table, line, ratio, store_log, weekday",
            )


def _column(fields: Fields, *, closed: bool = False) -> TableColumn:
    column = TableColumn(
        table=fields.text("table", longest=64),
        column=fields.text("column", longest=64),
        absent=_number_or(fields, "absent", nan),
    )
    if closed:
        fields.close()
    return column


def _line(fields: Fields, key: str) -> LineValue:
    scale = fields.number("scale", -1e9, 1e9, 1.0) if key == "field" else 1.0
    return LineValue(field=_word(fields, key, LINE_FIELDS), scale=scale)


def _word(fields: Fields, key: str, words: tuple[str, ...]) -> str:
    return fields.choice(key, {word: word for word in words})


def _range(fields: Fields, low_key: str, high_key: str) -> tuple[float, float]:
    low, high = _number_or(fields, low_key, -inf), _number_or(fields, high_key, inf)
    if low > high:
        raise DocumentError(fields.at(low_key), f"is above {high_key}", f"write <= {high_key}")
    return low, high


def _number_or(fields: Fields, key: str, default: float) -> float:
    """Return a number; absent or null means ``default``."""
    if not fields.has(key) or fields.raw(key) is None:
        return default
    return fields.number(key, -1e18, 1e18)
