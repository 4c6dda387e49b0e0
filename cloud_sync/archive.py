"""What can be asked of the database: reads only, each sees whole commits.

Owns the questions of the control process: answers to give again, a decision by its id,
changes of the two views since a cursor, and how much is stored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from cloud_sync import outbox, redemption_ledger, store_log
from cloud_sync.database import Database
from cloud_sync.instants import from_ms, to_ms
from cloud_sync.records import (
    RedemptionChanges,
    Source,
    StoredAnswer,
    StoredDecision,
    StoreLogRows,
    StreamStats,
)


class Archive:
    """Reads the database. Every method raises StoreUnavailableError if the disk refuses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent_answers(self, since: datetime, cap_bytes: int) -> Sequence[StoredAnswer]:
        """Return the box's own answers decided after ``since``, oldest first.

        The newest ones whose answers fit into ``cap_bytes`` together.
        """
        return await self._database.read(
            lambda connection: _recent_answers(connection, to_ms(since), cap_bytes)
        )

    async def decision(self, decision_id: str) -> StoredDecision | None:
        """Return the decision named, superseded or not; None: not here."""
        return await self._database.read(lambda connection: _decision(connection, decision_id))

    async def redemption_changes(self, after: int) -> RedemptionChanges:
        """Return what changed in the redemption view after a cursor."""
        return await self._database.read(
            lambda connection: redemption_ledger.changes(connection, after)
        )

    async def redemption_cursor(self) -> int:
        """Return the cursor of the redemption view."""
        return await self._database.read(redemption_ledger.cursor)

    async def store_log_rows(self, after: int) -> StoreLogRows:
        """Return what changed in the store's log after a cursor; 0: all that is needed."""
        return await self._database.read(lambda connection: store_log.rows(connection, after))

    async def store_log_cursor(self) -> int:
        """Return the cursor of the store's log."""
        return await self._database.read(store_log.cursor)

    async def streams(self) -> tuple[StreamStats, ...]:
        """Return how much each stream of the outbox holds."""
        return await self._database.read(outbox.stats)

    async def last_sequence(self, epoch: str) -> int:
        """Return the highest journal sequence stored of ``epoch``; 0: none."""
        return await self._database.read(lambda connection: _last_sequence(connection, epoch))


def _recent_answers(
    connection: sqlite3.Connection, since_ms: int, cap_bytes: int
) -> list[StoredAnswer]:
    answers: list[StoredAnswer] = []
    left_bytes = cap_bytes
    for request_id, sha256, response, decision_id, decided_ms in connection.execute(
        "SELECT request_id, request_sha256, response, decision_id, decided_ms FROM decisions"
        " WHERE source = ? AND decided_ms >= ? ORDER BY decided_ms DESC, row_id DESC",
        (int(Source.JOURNAL), since_ms),
    ):
        left_bytes -= len(response)
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


def _decision(connection: sqlite3.Connection, decision_id: str) -> StoredDecision | None:
    row = connection.execute(
        "SELECT d.source, d.origin, d.epoch, d.sequence, d.decision_id, d.request_id,"
        " d.decided_ms, d.recorded_ms, d.request, d.response, d.fallback_reason,"
        " COALESCE(r.decision_id, '') FROM decisions AS d LEFT JOIN decisions AS r"
        " ON r.row_id = d.superseded_by WHERE d.decision_id = ? ORDER BY d.row_id DESC LIMIT 1",
        (decision_id,),
    ).fetchone()
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


def _last_sequence(connection: sqlite3.Connection, epoch: str) -> int:
    (sequence,) = connection.execute(
        "SELECT MAX("
        " COALESCE((SELECT MAX(sequence) FROM decisions WHERE source = 0 AND origin = ''"
        " AND epoch = ?1), 0),"
        " COALESCE((SELECT MAX(sequence) FROM rejected WHERE source = 0 AND origin = ''"
        " AND epoch = ?1), 0))",
        (epoch,),
    ).fetchone()
    return int(sequence)
