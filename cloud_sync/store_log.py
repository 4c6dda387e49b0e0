"""The store's own log: per business day and item, lines sold and lines at a loyalty price.

Counts the decision of record of each COMPLETED sale and nothing else. A sale that is voided
at any time (by any clock), or whose decision of record changes, is taken back and counted
anew: ``refresh_sale`` may be called at any time and in any order, and the log depends on what
is stored alone. A returned sale stays: its lines were sold at that price.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from cloud_sync.records import ItemLines, SaleEnd
from cloud_sync.schema import next_cursor

CURSOR = "store_log_cursor"

Counts = dict[tuple[int, str], tuple[int, int]]


def items_to_text(items: Iterable[ItemLines]) -> str:
    """Return ``items`` as they are stored with a decision."""
    return json.dumps(
        [[item.item_id, item.line_count, item.discounted_line_count] for item in items],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def refresh_sale(connection: sqlite3.Connection, sale_key: str) -> bool:
    """Make the log hold what is known of the sale now; tell whether it changed."""
    if not sale_key:
        return False
    before = _counted(connection, sale_key)
    after = _wanted(connection, sale_key)
    if before == after:
        return False
    number = next_cursor(connection, CURSOR)
    for at in sorted(before.keys() | after.keys()):
        was, now = before.get(at, (0, 0)), after.get(at, (0, 0))
        if was != now:
            _add(connection, at, now[0] - was[0], now[1] - was[1], number)
    connection.execute("DELETE FROM sale_items WHERE sale_key = ?", (sale_key,))
    connection.executemany(
        "INSERT INTO sale_items VALUES (?, ?, ?, ?, ?)",
        [(sale_key, *at, *counts) for at, counts in after.items()],
    )
    return True


def _add(
    connection: sqlite3.Connection, at: tuple[int, str], lines: int, discounted: int, number: int
) -> None:
    connection.execute(
        "INSERT INTO store_log VALUES (?, ?, ?, ?, ?) ON CONFLICT (business_day, item_id)"
        " DO UPDATE SET line_count = line_count + excluded.line_count, discounted_line_count ="
        " discounted_line_count + excluded.discounted_line_count, cursor = excluded.cursor",
        (*at, lines, discounted, number),
    )


def _counted(connection: sqlite3.Connection, sale_key: str) -> Counts:
    return {
        (day, item_id): (lines, discounted)
        for day, item_id, lines, discounted in connection.execute(
            "SELECT business_day, item_id, line_count, discounted_line_count FROM sale_items"
            " WHERE sale_key = ?",
            (sale_key,),
        )
    }


def _wanted(connection: sqlite3.Connection, sale_key: str) -> Counts:
    """Return what the sale should count: nothing unless it is COMPLETED and never VOIDED."""
    row = connection.execute(
        "SELECT sale_end, decision_id, final_revision FROM outcomes WHERE sale_key = ?"
        " AND sale_end IN (?, ?) ORDER BY sale_end = ? DESC, event_ms DESC, row_id DESC LIMIT 1",
        (sale_key, int(SaleEnd.COMPLETED), int(SaleEnd.VOIDED), int(SaleEnd.VOIDED)),
    ).fetchone()
    if row is None or row[0] != SaleEnd.COMPLETED:
        return {}
    decision = _decision_of_record(connection, sale_key, row[1], row[2])
    if decision is None or not decision[0]:
        return {}
    day, items = decision
    return {(day, item_id): (lines, cut) for item_id, lines, cut in json.loads(items)}


def _decision_of_record(
    connection: sqlite3.Connection, sale_key: str, decision_id: str, revision: int
) -> tuple[int, str] | None:
    """Return business day and items: by the outcome's decision, else by the revision paid.

    The sale's own key is always part of the question: one decision counts for one sale.
    """
    row = connection.execute(
        "SELECT record.business_day, record.items FROM decisions AS named JOIN decisions AS"
        " record ON record.request_id = named.request_id AND record.superseded_by IS NULL"
        " WHERE named.decision_id = ? AND record.sale_key = ? LIMIT 1",
        (decision_id, sale_key),
    ).fetchone()
    if row is None:
        row = connection.execute(
            "SELECT business_day, items FROM decisions WHERE sale_key = ? AND"
            " basket_revision = ? AND superseded_by IS NULL ORDER BY row_id DESC LIMIT 1",
            (sale_key, revision),
        ).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))
