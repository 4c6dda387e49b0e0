"""What can be asked of the database: reads only, each sees whole commits.

Owns the questions of the control process: answers to give again, a decision by its id,
changes of the two views since a cursor, and how much is stored. A cursor of another
database is recognised and answered with a reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import aiosqlite

from cloud_sync import outbox, redemption_ledger, store_log
from cloud_sync.database import Database
from cloud_sync.instants import from_ms, to_ms
from cloud_sync.records import (
    ANSWER_OVERHEAD_BYTES,
    RedemptionChange,
    RedemptionChanges,
    Source,
    StoredAnswer,
    StoredDecision,
    StoreLogRow,
    StoreLogRows,
    StreamStats,
)

MAX_CHANGES = 4096
"""Changes of the redemption view in one answer."""

KEPT_DAYS = 35
"""Business days handed to serving: five weeks, for features of up to a month."""


class Archive:
    """Reads the database. Every method raises StoreUnavailableError if the disk refuses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent_answers(self, since: datetime, cap_bytes: int) -> Sequence[StoredAnswer]:
        """Return the box's own answers decided after ``since``, oldest first.

        The newest ones that fit into ``cap_bytes`` together, counted as serving counts them.
        """
        async with self._database.read() as connection:
            return await _recent_answers(connection, to_ms(since), cap_bytes)

    async def decision(self, decision_id: str) -> StoredDecision | None:
        """Return the decision named, superseded or not; None: not here."""
        async with self._database.read() as connection:
            return await _decision(connection, decision_id)

    async def redemption_changes(self, after: int) -> RedemptionChanges:
        """Return what changed in the redemption view after a cursor.

        0 and cursors of another database start anew.
        """
        async with self._database.read() as connection:
            return await _redemption_changes(connection, after)

    async def redemption_cursor(self) -> int:
        """Return the cursor of the redemption view."""
        async with self._database.read() as connection:
            return await _cursor(connection, redemption_ledger.CURSOR)

    async def store_log_rows(self, after: int) -> StoreLogRows:
        """Return what changed in the store's log after a cursor; 0: the last ``KEPT_DAYS`` days.

        Days are business days with sales, counted back from the newest: no clock is asked.
        """
        async with self._database.read() as connection:
            return await _store_log_rows(connection, after)

    async def store_log_cursor(self) -> int:
        """Return the cursor of the store's log."""
        async with self._database.read() as connection:
            return await _cursor(connection, store_log.CURSOR)

    async def streams(self) -> tuple[StreamStats, ...]:
        """Return how much each stream of the outbox holds, streams without rows included."""
        async with self._database.read() as connection:
            return tuple([await _stream(connection, stream) for stream in outbox.STREAMS])

    async def last_sequence(self, epoch: str) -> int:
        """Return the highest journal sequence stored of ``epoch``; 0: none."""
        async with self._database.read() as connection:
            return await _last_sequence(connection, epoch)


async def _recent_answers(
    connection: aiosqlite.Connection, since_ms: int, cap_bytes: int
) -> list[StoredAnswer]:
    answers: list[StoredAnswer] = []
    left_bytes = cap_bytes
    async with connection.execute(
        "SELECT request_id, request_sha256, response, decision_id, decided_ms FROM decisions"
        " WHERE source = ? AND decided_ms >= ? ORDER BY decided_ms DESC, row_id DESC",
        (int(Source.JOURNAL), since_ms),
    ) as found:
        async for request_id, sha256, response, decision_id, decided_ms in found:
            left_bytes -= len(response) + ANSWER_OVERHEAD_BYTES
            if left_bytes < 0:
                break
            answers.append(
                StoredAnswer(
                    request_id=request_id,
                    request_sha256=sha256,
                    response=response,
                    decision_id=decision_id,
                    decided=from_ms(decided_ms),
                )
            )
    answers.reverse()
    return answers


async def _decision(connection: aiosqlite.Connection, decision_id: str) -> StoredDecision | None:
    found = await connection.execute_fetchall(
        "SELECT d.source, d.origin, d.epoch, d.sequence, d.decision_id, d.request_id,"
        " d.decided_ms, d.recorded_ms, d.request, d.response, d.fallback_reason,"
        " COALESCE(r.decision_id, '') FROM decisions AS d LEFT JOIN decisions AS r"
        " ON r.row_id = d.superseded_by WHERE d.decision_id = ? ORDER BY d.row_id DESC LIMIT 1",
        (decision_id,),
    )
    row = next(iter(found), None)
    if row is None:
        return None
    return StoredDecision(
        source=Source(row[0]),
        origin=row[1],
        epoch=row[2],
        sequence=row[3],
        decision_id=row[4],
        request_id=row[5],
        decided=from_ms(row[6]),
        recorded=from_ms(row[7]),
        request=row[8],
        response=row[9],
        fallback_reason=row[10],
        superseded_by=row[11],
    )


async def _redemption_changes(connection: aiosqlite.Connection, after: int) -> RedemptionChanges:
    newest = await _cursor(connection, redemption_ledger.CURSOR)
    reset = not (newest >> 32 << 32) <= after <= newest
    rows = list(
        await connection.execute_fetchall(
            "SELECT redemption_key, redeemed, cursor FROM redemption_state"
            " WHERE cursor > ? AND (redeemed OR NOT ?) ORDER BY cursor LIMIT ?",
            (0 if reset else after, reset, MAX_CHANGES + 1),
        )
    )
    more = len(rows) > MAX_CHANGES
    del rows[MAX_CHANGES:]
    return RedemptionChanges(
        reset=reset,
        changes=tuple(
            RedemptionChange(redemption_key=key, redeemed=bool(redeemed))
            for key, redeemed, _ in rows
        ),
        next_cursor=rows[-1][2] if more else newest,
        more=more,
    )


async def _store_log_rows(connection: aiosqlite.Connection, after: int) -> StoreLogRows:
    oldest = 0
    if after == 0:
        ((oldest,),) = await connection.execute_fetchall(
            "SELECT COALESCE(MIN(business_day), 0) FROM (SELECT DISTINCT business_day"
            " FROM store_log ORDER BY business_day DESC LIMIT ?)",
            (KEPT_DAYS,),
        )
    found = await connection.execute_fetchall(
        "SELECT business_day, item_id, line_count, discounted_line_count FROM store_log"
        " WHERE cursor > ? AND business_day >= ? ORDER BY business_day, item_id",
        (after, oldest),
    )
    return StoreLogRows(
        rows=tuple(
            StoreLogRow(
                business_day=day,
                item_id=item_id,
                line_count=line_count,
                discounted_line_count=discounted,
            )
            for day, item_id, line_count, discounted in found
        ),
        cursor=await _cursor(connection, store_log.CURSOR),
    )


async def _cursor(connection: aiosqlite.Connection, name: str) -> int:
    """Return the cursor of the newest change in a view."""
    found = await connection.execute_fetchall("SELECT value FROM meta WHERE name = ?", (name,))
    return next((int(value) for (value,) in found), 0)


async def _stream(connection: aiosqlite.Connection, stream: str) -> StreamStats:
    ((rows, size, oldest_ms),) = await connection.execute_fetchall(
        "SELECT COALESCE(MAX(row_count), 0), COALESCE(MAX(byte_count), 0), (SELECT recorded_ms"
        " FROM outbox WHERE stream = ?1 ORDER BY sequence LIMIT 1) FROM streams WHERE stream = ?1",
        (stream,),
    )
    return StreamStats(
        stream=stream,
        row_count=rows,
        byte_count=size,
        oldest=None if oldest_ms is None else from_ms(oldest_ms),
    )


async def _last_sequence(connection: aiosqlite.Connection, epoch: str) -> int:
    ((sequence,),) = await connection.execute_fetchall(
        "SELECT MAX("
        " COALESCE((SELECT MAX(sequence) FROM decisions WHERE source = 0 AND origin = ''"
        " AND epoch = ?1), 0),"
        " COALESCE((SELECT MAX(sequence) FROM rejected WHERE source = 0 AND origin = ''"
        " AND epoch = ?1), 0))",
        (epoch,),
    )
    return int(sequence)
