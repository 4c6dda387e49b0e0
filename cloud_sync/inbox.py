"""The durable inbox: decisions, outcomes, gaps and poison, once each, whatever is repeated.

What a method accepted is on disk when it returns. Repeating a call changes nothing. A
decision a register acted on supersedes the box's for the same request, in whichever order
they arrive; the superseded one is kept and not counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime

from cloud_sync import outbox, redemption_ledger, store_log
from cloud_sync.database import Database
from cloud_sync.instants import to_ms
from cloud_sync.records import (
    Batch,
    BatchResult,
    DecisionRecord,
    Gap,
    Origin,
    OutcomeRecord,
    OutcomeStatus,
    PoisonRecord,
    SaleEnd,
    Source,
)


class Inbox:
    """Takes records into the database and calls ``changed`` when a view moved."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed

    async def accept_batch(self, batch: Batch) -> BatchResult:
        """Store a batch; records already there are counted as duplicates.

        Raises: StoreUnavailableError: nothing of the batch is stored.
        """
        recorded_ms = to_ms(self._clock())
        result, moved = await self._database.write(
            lambda connection: _store_batch(connection, batch, recorded_ms)
        )
        if moved:
            self._changed()
        return result

    async def accept_outcomes(self, outcomes: Sequence[OutcomeRecord]) -> list[OutcomeStatus]:
        """Store outcomes, one status each, in order.

        Raises: StoreUnavailableError: none of them is stored.
        """
        recorded_ms = to_ms(self._clock())
        results = await self._database.write(
            lambda connection: [_store_outcome(connection, o, recorded_ms) for o in outcomes]
        )
        if any(moved for _, moved in results):
            self._changed()
        return [status for status, _ in results]


def _store_batch(
    connection: sqlite3.Connection, batch: Batch, recorded_ms: int
) -> tuple[BatchResult, bool]:
    stored = []
    moved = False
    duplicate_count = 0
    for decision in batch.decisions:
        if _known(connection, batch.origin, decision):
            duplicate_count += 1
            continue
        moved |= _store_decision(connection, batch.origin, decision, recorded_ms)
        stored.append(decision)
    for poison in batch.poison:
        duplicate_count += not _store_poison(connection, batch.origin, poison, recorded_ms)
    gaps = [g for g in batch.gaps if _store_gap(connection, batch.origin, g, recorded_ms)]
    result = BatchResult(duplicate_count=duplicate_count, stored=tuple(stored), gaps=tuple(gaps))
    return result, moved


def _known(connection: sqlite3.Connection, origin: Origin, decision: DecisionRecord) -> bool:
    """Tell whether it is on disk: by its place, or by its id under a renewed spool epoch."""
    row = connection.execute(
        "SELECT 1 FROM decisions WHERE source = ? AND origin = ? AND epoch = ? AND sequence = ?",
        _place(origin, decision.sequence),
    ).fetchone()
    if row is None and origin.source is Source.TERMINAL:
        row = connection.execute(
            "SELECT 1 FROM decisions WHERE decision_id = ? AND request_id = ? AND"
            " +source = ? AND +origin = ? LIMIT 1",
            (
                decision.decision_id,
                decision.request_id,
                int(origin.source),
                origin.workstation_id,
            ),
        ).fetchone()
    return row is not None


def _store_decision(
    connection: sqlite3.Connection, origin: Origin, decision: DecisionRecord, recorded_ms: int
) -> bool:
    """Insert, supersede, and count what the sale sold; tell whether the store log moved."""
    facts = decision.facts
    row_id = connection.execute(
        "INSERT INTO decisions (source, origin, epoch, sequence, decision_id, request_id,"
        " decided_ms, recorded_ms, request, response, request_sha256, scored, fallback_reason,"
        " sale_key, business_day, basket_revision, items)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *_place(origin, decision.sequence),
            decision.decision_id,
            decision.request_id,
            to_ms(decision.decided),
            recorded_ms,
            decision.request,
            decision.response,
            decision.request_sha256,
            decision.scored,
            decision.fallback_reason,
            facts.sale_key,
            facts.business_day,
            facts.basket_revision,
            store_log.items_to_text(facts.items),
        ),
    ).lastrowid
    assert row_id is not None
    size_bytes = len(decision.request) + len(decision.response) + len(decision.scored)
    outbox.append(connection, outbox.DECISIONS, "decided", row_id, recorded_ms, size_bytes)
    sales = _supersede(connection, decision.request_id, recorded_ms)
    moved = False
    for sale_key in sorted(sales):
        moved |= store_log.refresh_sale(connection, sale_key)
    return moved


def _supersede(connection: sqlite3.Connection, request_id: str, recorded_ms: int) -> set[str]:
    """Leave one decision of record: a register's before the box's, then the latest.

    Returns the sales whose decision of record may have changed.
    """
    rows = connection.execute(
        "SELECT row_id, superseded_by, sale_key FROM decisions WHERE request_id = ?"
        " ORDER BY source DESC, row_id DESC",
        (request_id,),
    ).fetchall()
    record = rows[0][0]
    for row_id, superseded_by, _ in rows[1:]:
        if superseded_by != record:
            connection.execute(
                "UPDATE decisions SET superseded_by = ? WHERE row_id = ?", (record, row_id)
            )
            outbox.append(connection, outbox.DECISIONS, "superseded", row_id, recorded_ms, 0)
    return {str(sale_key) for _, _, sale_key in rows}


def _store_poison(
    connection: sqlite3.Connection, origin: Origin, poison: PoisonRecord, recorded_ms: int
) -> bool:
    """Keep a poison record aside; tell whether it is new."""
    row = connection.execute(
        "INSERT INTO rejected (source, origin, epoch, sequence, reason, body, recorded_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING row_id",
        (*_place(origin, poison.sequence), poison.reason, poison.body, recorded_ms),
    ).fetchone()
    if row is not None:
        size_bytes = len(poison.body)
        outbox.append(connection, outbox.REJECTED, "rejected", row[0], recorded_ms, size_bytes)
    return row is not None


def _store_gap(connection: sqlite3.Connection, origin: Origin, gap: Gap, recorded_ms: int) -> bool:
    """Put a gap on record; tell whether it is new."""
    row = connection.execute(
        "INSERT INTO gaps (source, origin, epoch, first_sequence, last_sequence, lost_count,"
        " reason, recorded_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING row_id",
        (
            *_place(origin, gap.first_sequence),
            gap.last_sequence,
            gap.lost_count,
            gap.reason,
            recorded_ms,
        ),
    ).fetchone()
    if row is not None:
        outbox.append(connection, outbox.GAPS, "lost", row[0], recorded_ms, 0)
    return row is not None


def _store_outcome(
    connection: sqlite3.Connection, outcome: OutcomeRecord, recorded_ms: int
) -> tuple[OutcomeStatus, bool]:
    """Store one outcome; the second value tells whether a view moved."""
    row = connection.execute(
        "SELECT body FROM outcomes WHERE request_id = ?", (outcome.request_id,)
    ).fetchone()
    if row is not None:
        same = row[0] == outcome.body
        return (OutcomeStatus.DUPLICATE if same else OutcomeStatus.CONFLICT), False
    event_ms = to_ms(outcome.event)
    row_id = connection.execute(
        "INSERT INTO outcomes (request_id, decision_id, sale_key, sale_end, final_revision,"
        " event_ms, recorded_ms, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            outcome.request_id,
            outcome.decision_id,
            outcome.sale_key,
            int(outcome.end),
            outcome.final_revision,
            event_ms,
            recorded_ms,
            outcome.body,
        ),
    ).lastrowid
    assert row_id is not None
    outbox.append(connection, outbox.OUTCOMES, "reported", row_id, recorded_ms, len(outcome.body))
    moved = redemption_ledger.apply(
        connection, outcome.end, outcome.sale_key, outcome.redemption_keys, event_ms
    )
    if outcome.end is not SaleEnd.REVIEW:
        moved |= store_log.refresh_sale(connection, outcome.sale_key)
    return OutcomeStatus.ACCEPTED, moved


def _place(origin: Origin, sequence: int) -> tuple[int, str, str, int]:
    return int(Source(origin.source)), origin.workstation_id, origin.epoch, sequence
