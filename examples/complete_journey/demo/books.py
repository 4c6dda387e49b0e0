"""Both sides' books compared: what the registers acted on against what the box holds.

Reads the box's database as a stranger would, with plain SQL, so that the check shares no
code with what it checks.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from examples.complete_journey.demo.records import CallRecord, Settlement


def compare(database: Path, calls: Iterable[CallRecord], outcomes_sent: int) -> Settlement:
    """Return the settlement; the database is opened for reading only."""
    acted = {call.request_id: call.decision_id for call in calls}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT request_id, decision_id, superseded_by IS NULL FROM decisions"
        ).fetchall()
        (outcomes_recorded,) = connection.execute("SELECT count(*) FROM outcomes").fetchone()
    of_record = [(request, decision) for request, decision, counts in rows if counts]
    copies = Counter(request for request, _ in of_record)
    held = {request for request, decision in of_record if acted.get(request) == decision}
    return Settlement(
        decisions_acted=len(acted),
        decisions_recorded=len(held),
        decisions_lost=len(acted.keys() - held),
        decisions_doubled=sum(1 for request in acted if copies[request] > 1),
        decisions_superseded=len(rows) - len(of_record),
        outcomes_sent=outcomes_sent,
        outcomes_recorded=outcomes_recorded,
    )
