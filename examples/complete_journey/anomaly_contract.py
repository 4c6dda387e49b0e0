"""Feature contract of receipt_anomaly: raw, per line, from the line itself and four tables.

The kinds of source are those of ``contract.py``. ``gross_minor`` is what the line costs
before any discount, ``extended_minor`` what is left to pay after all of them, coupons
included; ``quantity`` is in units.
"""

from __future__ import annotations

from typing import Any

from examples.complete_journey.contract import Column, described

PRICE_COLUMNS = (
    "p5_minor", "p50_minor", "due_p5_minor", "due_p50_minor", "due_p98_minor", "qty_p98",
    "coupon_share", "multi_share", "discount_depth",
)  # fmt: skip
"""Columns of the ``prices`` table: a product's habits over the training weeks."""

_RATIO_CAP = 50


def _ratio(name: str, source: str) -> Column:
    return Column(name, f"ratio:{source}", "ratio", 0, _RATIO_CAP)


def _habit(name: str, unit: str, maximum: float | None = None) -> Column:
    return Column(name, f"table:prices.{name}", unit, 0, maximum)


_COLUMNS = (
    Column("qty", "line:quantity", "units", 0, None),
    Column("shelf", "line:shelf_minor/100", "dollars, unit price before discounts", 0, None),
    _ratio("paid_of_gross", "extended_minor/gross_minor"),
    _ratio("loyalty_of_gross", "loyalty_minor/gross_minor"),
    _ratio("coupon_of_gross", "coupon_minor/gross_minor"),
    _ratio("match_of_gross", "coupon_match_minor/gross_minor"),
    _ratio("match_of_coupon", "coupon_match_minor/coupon_minor"),
    _ratio("shelf_p5", "shelf_minor/prices.p5_minor"),
    _ratio("shelf_p50", "shelf_minor/prices.p50_minor"),
    _ratio("shelf_chain", "shelf_minor/chain.price_minor"),
    _ratio("shelf_store", "shelf_minor/store.price_minor"),
    _ratio("due_p5", "extended_minor/prices.due_p5_minor"),
    _ratio("due_p50", "extended_minor/prices.due_p50_minor"),
    _ratio("due_p98", "extended_minor/prices.due_p98_minor"),
    _ratio("qty_habit", "quantity/prices.qty_p98"),
    _habit("qty_p98", "units"),
    _habit("coupon_share", "share of lines", 1),
    _habit("multi_share", "share of lines", 1),
    _habit("discount_depth", "share of the price", 1),
    Column("c1_r", "table:chain.c1_r", "share of lines with a loyalty discount", 0, 1),
    Column("c4_r", "table:chain.c4_r", "share of lines with a loyalty discount", 0, 1),
    Column("mail", "table:plan.mail", "index into codes.mail", 0, 11, 0),
    Column("priv", "table:chain.priv", "1 = private label", 0, 1),
)
ANOMALY_COLUMNS = tuple(column.name for column in _COLUMNS)
RISING = frozenset({"coupon_of_gross", "due_p98", "qty_habit", "qty"})
FALLING = frozenset({"shelf_p5", "shelf_p50", "due_p5", "due_p50", "paid_of_gross"})
"""More (or less) of these may only make a line stranger: a constraint on the model, which
carries it over to irregularities it was not shown."""


def anomaly_contract() -> dict[str, Any]:
    """Return the contract as JSON-able data."""
    return {
        "contract": "receipt_anomaly/1",
        "input": {"name": "x", "dtype": "float32", "shape": ["N", len(_COLUMNS)]},
        "output": {
            "name": "p",
            "dtype": "float32",
            "shape": ["N"],
            "meaning": "likeness of the line to the SYNTHETIC irregular lines it was trained on; "
            "no probability of fraud",
        },
        "unknown": "NaN",
        "key": "product, its decimal id in ASCII",
        "tables": {
            "prices": {
                "columns": list(PRICE_COLUMNS),
                "holds": "a product's habits over weeks 1-40, chain-wide",
            },
        },
        "logs": {},
        "columns": [described(column) for column in _COLUMNS],
    }
