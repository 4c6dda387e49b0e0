"""Feature contract v1 of promo_price: ordered columns, units, ranges and sources.

``features.json`` is this module's output. A gateway that understands five kinds of source
assembles the row without knowing what the model means:

* ``table:T.C``: column C of table T, looked up by the line's product;
* ``line:F/K``: the line's field F divided by the constant K;
* ``ratio:F/T.C``: the line's field F over a table's column, clipped to min..max, unknown
  when that column is unknown or 0;
* ``log:L.n``, ``log:L.r``: the gateway's own log (see ``logs``), lines counted and the share
  of them with a loyalty discount;
* ``basket:dow``: ISO weekday of the basket's store-local date.

Contract v1 is raw: NaN is "unknown", and whatever the model needs (logs, fills, one-hots)
happens inside its graph.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

CONTRACT = "promo_price/1"


@dataclass(frozen=True)
class Column:
    """One input column: ``minimum`` and ``maximum`` bound it, None = open."""

    name: str
    source: str
    unit: str
    minimum: float
    maximum: float | None
    absent: float | None = None
    """Value when the table is there and the product is not in it; None = NaN."""


def _lines(name: str, source: str) -> Column:
    return Column(name, source, "lines", 0, None, 0 if source.startswith("table:") else None)


def _share(name: str, source: str) -> Column:
    return Column(name, source, "share of lines with a loyalty discount", 0, 1)


_EDGE = (
    _lines("c1_n", "table:chain.c1_n"),
    _share("c1_r", "table:chain.c1_r"),
    _lines("c4_n", "table:chain.c4_n"),
    _share("c4_r", "table:chain.c4_r"),
    _lines("ca_n", "table:chain.ca_n"),
    _share("ca_r", "table:chain.ca_r"),
    _lines("s8_n", "table:store.s8_n"),
    _share("s8_r", "table:store.s8_r"),
    _share("t1_r", "table:chain.t1_r"),
    _lines("m1_n", "table:chain.m1_n"),
    _share("m1_r", "table:chain.m1_r"),
    _lines("ls_n", "log:ls.n"),
    _share("ls_r", "log:ls.r"),
    _lines("lm_n", "log:lm.n"),
    _share("lm_r", "log:lm.r"),
    Column("mail", "table:plan.mail", "index into codes.mail", 0, 11, 0),
    Column("disp", "table:plan.disp", "index into codes.disp", 0, 10, 0),
    Column("dow", "basket:dow", "ISO weekday, Monday = 1", 1, 7),
    Column("shelf", "line:shelf_minor/100", "dollars, unit price before discounts", 0.01, None),
    Column("prat", "ratio:shelf_minor/chain.price_minor", "ratio", 0, 10),
    Column("prat_s", "ratio:shelf_minor/store.price_minor", "ratio", 0, 10),
    Column("priv", "table:chain.priv", "1 = private label", 0, 1),
)
EDGE_COLUMNS = tuple(column.name for column in _EDGE)
FLEET_COLUMNS = ("fw_n", "fw_r", "fm_n", "fm_r", "fp_n", "fp_r")
"""Columns only the cloud can fill, in the order the deep model takes them after the edge's."""
DEEP_COLUMNS = EDGE_COLUMNS + FLEET_COLUMNS

CHAIN_COLUMNS = (
    "c1_n", "c1_r", "c4_n", "c4_r", "ca_n", "ca_r", "t1_r", "m1_n", "m1_r", "price_minor",
    "mc_id", "priv",
)  # fmt: skip
STORE_COLUMNS = ("s8_n", "s8_r", "price_minor")
PLAN_COLUMNS = ("mail", "disp")

_TABLES = {
    "chain": {
        "columns": CHAIN_COLUMNS,
        "holds": "the whole chain up to the book's as-of date; every product of the item master",
    },
    "store": {
        "columns": STORE_COLUMNS,
        "holds": "this store's last 8 weeks up to the book's as-of date",
    },
    "plan": {
        "columns": PLAN_COLUMNS,
        "holds": "this store's promotion plan of one week; a missing table is unknown (NaN)",
    },
}
_LOGS = {
    "ls": {"by": "product", "span": "this store, this week (from Monday) before today"},
    "lm": {"by": "table:chain.mc_id", "span": "this store, this week (from Monday) before today"},
}


def edge_contract(codes: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the edge contract as JSON-able data; ``codes`` names the plan's code letters."""
    return {
        "contract": CONTRACT,
        "input": {"name": "x", "dtype": "float32", "shape": ["N", len(_EDGE)]},
        "output": {
            "name": "p",
            "dtype": "float32",
            "shape": ["N"],
            "meaning": "probability that the loyalty promotion price applies to the line",
        },
        "unknown": "NaN",
        "key": "product, its decimal id in ASCII",
        "tables": {
            name: {key: list(value) if key == "columns" else value for key, value in table.items()}
            for name, table in _TABLES.items()
        },
        "logs": _LOGS,
        "codes": {name: list(letters) for name, letters in codes.items()},
        "columns": [described(column) for column in _EDGE],
    }


def deep_contract(codes: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the deep contract: the edge row as received, then the fleet's columns."""
    contract = edge_contract(codes)
    contract["contract"] = "promo_price_deep/1"
    contract["input"]["shape"] = ["N", len(DEEP_COLUMNS)]
    for column in contract["columns"]:
        column["source"] = f"row:{column['name']}"
    contract["columns"] += [
        described(
            (_lines if name.endswith("_n") else _share)(name, f"fleet:{name[:-2]}.{name[-1]}")
        )
        for name in FLEET_COLUMNS
    ]
    contract["fleet"] = {
        "fw": "every store, this week before today, same product",
        "fm": "every store, this week before today, same maker x category",
        "fp": "every store, the seven days before today, same product at the same shelf price",
    }
    for name in ("tables", "logs", "codes", "key"):
        del contract[name]
    return contract


def described(column: Column) -> dict[str, Any]:
    """Return a column as its JSON form."""
    fields = asdict(column)
    return {
        "name": fields["name"],
        "source": fields["source"],
        "unit": fields["unit"],
        "min": fields["minimum"],
        "max": fields["maximum"],
        **({} if fields["absent"] is None else {"absent": fields["absent"]}),
    }
