"""Builds records the way a register and a box do, with the smallest set of given facts."""

import hashlib
from datetime import UTC, datetime, timedelta

from cloud_sync.records import (
    Batch,
    DecisionRecord,
    ItemLines,
    Origin,
    OutcomeRecord,
    SaleEnd,
    SaleFacts,
    Source,
)

MORNING = datetime(2017, 11, 27, 9, 0, tzinfo=UTC)
JOURNAL = Origin(source=Source.JOURNAL, workstation_id="", epoch="e1")
LANE_4 = Origin(source=Source.TERMINAL, workstation_id="4", epoch="s1")


def facts(
    sale: str = "367/4/2017-11-27/1", revision: int = 1, **items: tuple[int, int]
) -> SaleFacts:
    return SaleFacts(
        sale_key=sale,
        business_day=20171127,
        basket_revision=revision,
        items=tuple(
            ItemLines(item_id=item, line_count=lines, discounted_line_count=cut)
            for item, (lines, cut) in items.items()
        ),
    )


def decision(
    sequence: int, request_id: str = "", about: SaleFacts | None = None, **changes: object
) -> DecisionRecord:
    request_id = request_id or f"r{sequence}"
    values: dict[str, object] = {
        "sequence": sequence,
        "decision_id": f"367-e1-{sequence}",
        "request_id": request_id,
        "decided": MORNING + timedelta(seconds=sequence),
        "request": request_id.encode(),
        "response": b"answer to " + request_id.encode(),
        "request_sha256": hashlib.sha256(request_id.encode()).digest(),
        "facts": about or SaleFacts(),
    }
    return DecisionRecord(**(values | changes))  # type: ignore[arg-type]


def journal(*decisions: DecisionRecord) -> Batch:
    return Batch(origin=JOURNAL, decisions=decisions)


def spool(*decisions: DecisionRecord) -> Batch:
    return Batch(origin=LANE_4, decisions=decisions)


def outcome(
    request_id: str,
    end: SaleEnd,
    *,
    sale: str = "367/4/2017-11-27/1",
    keys: tuple[str, ...] = (),
    decision_id: str = "",
    revision: int = 1,
    minute: int = 0,
) -> OutcomeRecord:
    return OutcomeRecord(
        request_id=request_id,
        decision_id=decision_id,
        sale_key=sale,
        end=end,
        final_revision=revision,
        event=MORNING + timedelta(minutes=minute),
        body=f"{request_id}{end}{keys}{decision_id}".encode(),
        redemption_keys=keys,
    )
