"""What the inbox takes and what became of it: plain values, no protobuf, no SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum

ANSWER_OVERHEAD_BYTES = 512
"""What a kept answer costs beside its bytes: who hands it on and who keeps it count alike."""


class Source(IntEnum):
    """Who decided: the box (its journal) or a register (its spool)."""

    JOURNAL = 0
    TERMINAL = 1


class SaleEnd(IntEnum):
    """How a sale ended; the contract's numbers. ``REVIEW``: no sale ended."""

    REVIEW = 0
    COMPLETED = 1
    ABANDONED = 2
    VOIDED = 3
    RETURNED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a sequence of records comes from. ``workstation_id`` is empty for the box."""

    source: Source
    workstation_id: str
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemLines:
    """How many lines of an item a sale has, and how many of those at a loyalty price."""

    item_id: str
    line_count: int
    discounted_line_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleFacts:
    """What the box keeps track of in a basket.

    ``sale_key`` is the POSLog natural key, empty when the POS set none; ``business_day``
    is ``yyyymmdd``, 0 when unknown.
    """

    sale_key: str = ""
    business_day: int = 0
    basket_revision: int = 0
    items: tuple[ItemLines, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """One decision as it was made. Bytes are stored as they are and never interpreted.

    ``scored`` is what replays it; ``fallback_reason`` is empty for the box's decisions.
    """

    sequence: int
    decision_id: str
    request_id: str
    decided: datetime
    request: bytes
    response: bytes
    request_sha256: bytes
    facts: SaleFacts = SaleFacts()
    scored: bytes = b""
    fallback_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonRecord:
    """A record that can never be read: kept aside."""

    sequence: int
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Decisions known to be lost; ``lost_count`` 0: nobody can know how many."""

    first_sequence: int
    last_sequence: int
    lost_count: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records of one origin, in rising order of sequence."""

    origin: Origin
    decisions: tuple[DecisionRecord, ...] = ()
    poison: tuple[PoisonRecord, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of a batch. ``stored`` and ``gaps`` are those that were new."""

    duplicate_count: int
    stored: tuple[DecisionRecord, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord:
    """One outcome. ``body`` is the report's bytes; ``redemption_keys`` of a sale."""

    request_id: str
    decision_id: str
    sale_key: str
    end: SaleEnd
    final_revision: int
    event: datetime
    body: bytes
    redemption_keys: tuple[str, ...] = field(default=())


class OutcomeStatus(Enum):
    """What became of an outcome."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    """The same ``request_id`` with another body is on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer that may be asked for again."""

    request_id: str
    request_sha256: bytes
    response: bytes
    decision_id: str
    decided: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """A decision on disk, with what superseded it (empty: it is the one of record)."""

    source: Source
    origin: str
    epoch: str
    sequence: int
    decision_id: str
    request_id: str
    decided: datetime
    recorded: datetime
    request: bytes
    response: bytes
    fallback_reason: str
    superseded_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionChange:
    """One key used up or released."""

    redemption_key: str
    redeemed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionChanges:
    """What changed since a cursor. ``reset``: drop the view first."""

    reset: bool
    changes: tuple[RedemptionChange, ...]
    next_cursor: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLogRow:
    """What one item did on one business day."""

    business_day: int
    item_id: str
    line_count: int
    discounted_line_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLogRows:
    """Rows changed since a cursor; the log is at ``cursor`` afterwards."""

    rows: tuple[StoreLogRow, ...]
    cursor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStats:
    """How much a stream of the outbox holds."""

    stream: str
    row_count: int
    byte_count: int
    oldest: datetime | None
