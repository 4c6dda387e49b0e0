"""The outbox: every durable event gets the next number of its stream, in its transaction.

Numbers have no holes: an event and its number are committed together or not at all. What
uploads later reads by (store, outbox epoch, stream, sequence).
"""

from __future__ import annotations

import sqlite3

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
