"""The outbox: every durable event gets the next number of its stream, in its transaction.

Numbers have no holes: an event and its number are committed together or not at all. What
uploads later reads by (store, outbox epoch, stream, sequence).
"""

from __future__ import annotations

import sqlite3

from cloud_sync.instants import from_ms
from cloud_sync.records import StreamStats

DECISIONS = "decisions"
OUTCOMES = "outcomes"
GAPS = "gaps"
REJECTED = "rejected"
STREAMS = (DECISIONS, OUTCOMES, GAPS, REJECTED)


def append(
    connection: sqlite3.Connection,
    stream: str,
    event: str,
    row_id: int,
    recorded_ms: int,
    size_bytes: int,
) -> int:
    """Append ``event`` about the stream's row ``row_id``; return its number, from 1.

    ``size_bytes`` is 0 for an event that stores nothing new, such as a supersession.
    """
    (sequence,) = connection.execute(
        "INSERT INTO streams VALUES (?, 2, 1, ?) ON CONFLICT (stream) DO UPDATE SET"
        " next_sequence = next_sequence + 1, row_count = row_count + 1,"
        " byte_count = byte_count + excluded.byte_count RETURNING next_sequence - 1",
        (stream, size_bytes),
    ).fetchone()
    connection.execute(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)",
        (stream, sequence, event, row_id, recorded_ms, size_bytes),
    )
    return int(sequence)


def stats(connection: sqlite3.Connection) -> tuple[StreamStats, ...]:
    """Return how much each stream holds, streams without rows included."""
    found = {
        str(stream): (int(rows), int(size))
        for stream, rows, size in connection.execute(
            "SELECT stream, row_count, byte_count FROM streams"
        )
    }
    return tuple(_stats(connection, stream, *found.get(stream, (0, 0))) for stream in STREAMS)


def _stats(
    connection: sqlite3.Connection, stream: str, row_count: int, byte_count: int
) -> StreamStats:
    row = connection.execute(
        "SELECT recorded_ms FROM outbox WHERE stream = ? ORDER BY sequence LIMIT 1", (stream,)
    ).fetchone()
    return StreamStats(
        stream=stream,
        row_count=row_count,
        byte_count=byte_count,
        oldest=None if row is None else from_ms(row[0]),
    )
