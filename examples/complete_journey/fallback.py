"""The small deterministic tables behind rule B, read off a committed price book.

They ride in the signed fallback bundle, so that a register alone and a gateway without
models give the same answer. Needs numpy alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from examples.complete_journey.artifacts import DEMO_STORE, Table, book_table

FIRST_MAILED = 2
"""Smallest mail code that means "in the mailer" (0 = not in the plan, 1 = listed only)."""
TOP_SELLERS = 10


def fallback_tables(week: int) -> dict[str, Any]:
    """Return the demo store's fallback tables of the book of ``week``, JSON-able.

    ``plan_yes`` are the products in that week's mailer, ``majority_yes`` those that more
    than half of last week's chain-wide lines sold at a discount, ``top_sellers`` the
    store's ten most sold products of eight weeks, best first. Product ids are strings,
    the first two lists sorted. Rule B: yes if in ``plan_yes`` or in ``majority_yes``,
    else no. The next week's ``plan_yes`` ships ahead in the next call's plan.

    Raises:
        FileNotFoundError: no book of that week is committed.
    """
    chain, store, plan = (book_table(name, week) for name in ("chain", "store", "plan"))
    return {
        "store": str(DEMO_STORE),
        "week": week,
        "as_of": chain.meta["as_of"],
        "plan_first_day": plan.meta["first_day"],
        "plan_last_day": plan.meta["last_day"],
        "plan_yes": mailed_products(plan),
        "majority_yes": _where(chain, "c1_r", 0.5),
        "top_sellers": _top_sellers(store),
    }


def mailed_products(plan: Table) -> list[str]:
    """Return the products of a plan table that are in the mailer, sorted."""
    return _where(plan, "mail", FIRST_MAILED - 0.5)


def _where(table: Table, column: str, above: float) -> list[str]:
    """Return the keys whose column exceeds ``above``; unknown (NaN) does not."""
    chosen = table.values[:, table.columns.index(column)] > above
    return sorted(key.decode() for key in table.keys[chosen].tolist())


def _top_sellers(store: Table) -> list[str]:
    sold = store.values[:, store.columns.index("s8_n")]
    # Stable sort on sorted keys: equal sellers stay in key order.
    best = np.argsort(-sold, kind="stable")[:TOP_SELLERS]
    return [key.decode() for key in store.keys[best].tolist()]
