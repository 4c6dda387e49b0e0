"""Which one-use offers are used up in this store: a ledger folded from sale outcomes.

COMPLETED redeems the outcome's keys, VOIDED and RETURNED release them. Outcomes arrive in
any order (a register's spool may be days late), so a key's state is the fold of all its
events, and arrival decides nothing. Event time orders different sales; of one sale the end
decides, whatever its time, because a register's clock may have been set back in between.
Every change of a state gets the next cursor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from cloud_sync.records import SaleEnd
from cloud_sync.schema import next_cursor

CURSOR = "redemption_cursor"

_REDEEMS = {SaleEnd.COMPLETED: 1, SaleEnd.RETURNED: 0, SaleEnd.VOIDED: -1}
"""What an event is in the column ``redeems``."""


def apply(
    connection: sqlite3.Connection,
    end: SaleEnd,
    sale_key: str,
    keys: Iterable[str],
    event_ms: int,
) -> bool:
    """Fold an outcome into the ledger; tell whether any key's state changed."""
    redeems = _REDEEMS.get(end)
    if redeems is None:
        return False
    changed = False
    for key in dict.fromkeys(keys):
        connection.execute(
            "INSERT INTO redemption_events (redemption_key, sale_key, redeems, event_ms)"
            " VALUES (?, ?, ?, ?)",
            (key, sale_key, redeems, event_ms),
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

    Two sales may hold it: both redeemed it while out of touch. A void takes back what its own
    sale did and nothing else. A return releases the hold of its own sale, else the oldest one:
    goods come back under a transaction of their own.
    """
    events: list[tuple[str, int]] = connection.execute(
        "SELECT sale_key, redeems FROM redemption_events WHERE redemption_key = ?"
        " ORDER BY event_ms, redeems DESC, row_id",
        (key,),
    ).fetchall()
    over = _over(events)
    holders: list[str] = []
    for sale_key, redeems in events:
        if sale_key in over:
            continue
        if redeems == _REDEEMS[SaleEnd.COMPLETED]:
            if sale_key not in holders or not sale_key:
                holders.append(sale_key)
        elif sale_key in holders:
            holders.remove(sale_key)
        elif holders and redeems == _REDEEMS[SaleEnd.RETURNED]:
            holders.pop(0)
    return bool(holders)


def _over(events: Iterable[tuple[str, int]]) -> set[str]:
    """Return the sales that hold and release nothing any more: voided, or returned themselves.

    A sale without a key is never among them: nobody can tell two of those apart.
    """
    ends: dict[str, set[int]] = {}
    for sale_key, redeems in events:
        if sale_key:
            ends.setdefault(sale_key, set()).add(redeems)
    voided = {_REDEEMS[SaleEnd.VOIDED]}
    came_back = {_REDEEMS[SaleEnd.COMPLETED], _REDEEMS[SaleEnd.RETURNED]}
    return {sale for sale, seen in ends.items() if voided <= seen or came_back <= seen}
