"""Which one-use offers are used up in this store: a ledger folded from sale outcomes.

COMPLETED redeems the outcome's keys, VOIDED and RETURNED release them. Outcomes arrive in
any order (a register's spool may be days late), so a key's state is the fold of all its
events in order of event time, and arrival decides nothing. Every change of a state gets
the next cursor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from cloud_sync.records import SaleEnd
from cloud_sync.schema import next_cursor

CURSOR = "redemption_cursor"


def apply(
    connection: sqlite3.Connection,
    end: SaleEnd,
    sale_key: str,
    keys: Iterable[str],
    event_ms: int,
) -> bool:
    """Fold an outcome into the ledger; tell whether any key's state changed."""
    if end not in (SaleEnd.COMPLETED, SaleEnd.VOIDED, SaleEnd.RETURNED):
        return False
    changed = False
    for key in dict.fromkeys(keys):
        connection.execute(
            "INSERT INTO redemption_events (redemption_key, sale_key, redeems, event_ms)"
            " VALUES (?, ?, ?, ?)",
            (key, sale_key, int(end is SaleEnd.COMPLETED), event_ms),
        )
        changed |= _refold(connection, key)
    return changed


def _refold(connection: sqlite3.Connection, key: str) -> bool:
    """Recompute the state of ``key``; store it under a new cursor if it changed."""
    redeemed = _redeemed(connection, key)
    row = connection.execute(
        "SELECT redeemed FROM redemption_state WHERE redemption_key = ?", (key,)
    ).fetchone()
    if redeemed == (row is not None and bool(row[0])):
        return False
    connection.execute(
        "INSERT INTO redemption_state VALUES (?, ?, ?) ON CONFLICT (redemption_key)"
        " DO UPDATE SET redeemed = excluded.redeemed, cursor = excluded.cursor",
        (key, int(redeemed), next_cursor(connection, CURSOR)),
    )
    return True


def _redeemed(connection: sqlite3.Connection, key: str) -> bool:
    """Tell whether a sale still holds ``key``.

    Two sales may hold it: both redeemed it while out of touch. A release takes the hold of
    its own sale, else the oldest one: goods come back under a transaction of their own.
    """
    holders: list[str] = []
    for sale_key, redeems in connection.execute(
        "SELECT sale_key, redeems FROM redemption_events WHERE redemption_key = ?"
        " ORDER BY event_ms, redeems DESC, row_id",
        (key,),
    ):
        if redeems:
            if sale_key not in holders or not sale_key:
                holders.append(sale_key)
        elif holders:
            holders.remove(sale_key if sale_key in holders else holders[0])
    return bool(holders)
