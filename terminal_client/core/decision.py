"""A decision: verdict, reasons, offers, and where the time went.

Owns the answer's types. Enum values equal the proto's numbers. What terminal and gateway
must agree on is ``projection``: nothing that tells where or how fast it was decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from terminal_client.core.basket import DiscountKind, ItemIdType, NamedValue
from terminal_client.core.freshness import Freshness
from terminal_client.core.modes import Mode, Tier


class Verdict(IntEnum):
    """What to do, in rising order. There is no decline: a model never blocks a sale."""

    APPROVE = 1
    REVIEW = 2
    RETRY = 3


class Place(IntEnum):
    """Where it was decided."""

    TERMINAL = 1
    GATEWAY = 2
    CLOUD = 3


class LaneAction(IntEnum):
    """What the person at the lane should do."""

    NONE = 1
    CHECK_ID = 2
    CHECK_ITEMS = 3
    RESCAN_ITEM = 4
    RESCAN_COUPON = 5
    CALL_ATTENDANT = 6


class OfferStatus(IntEnum):
    """What became of an offer; a refusal is a status, never a verdict."""

    APPLIED = 1
    NOT_ELIGIBLE = 2
    EXPIRED = 3
    ALREADY_REDEEMED = 4
    UNREADABLE = 5
    ACCEPTED_UNVERIFIED = 6


class StageResult(IntEnum):
    """What became of a stage of the pipeline."""

    RAN = 1
    SKIPPED_NO_TIME = 2
    CUT = 3
    NOT_ALLOWED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why; ``code`` is stable, ``detail`` is for support only."""

    code: str
    rule_id: str = ""
    line_number: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPrompt:
    """Something to show at the lane."""

    prompt_id: str
    text: str = ""
    action: LaneAction = LaneAction.NONE
    line_number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAllocation:
    """A line's share of an offer, in minor units."""

    line_number: int
    discount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferResult:
    """One promotion or coupon; ``discount_minor`` is exactly the sum of allocations.

    ``kind``: what the POS books it as (PROMOTION, COUPON or COUPON_MATCH).
    """

    offer_id: str
    status: OfferStatus
    coupon_ref: str = ""
    discount_minor: int = 0
    allocations: tuple[LineAllocation, ...] = ()
    reasons: tuple[Reason, ...] = ()
    redemption_key: str = ""
    kind: DiscountKind = DiscountKind.UNSPECIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """Something to offer; ``score`` is 0 when the rules answered."""

    item_id: str
    item_id_type: ItemIdType = ItemIdType.UNSPECIFIED
    score: float = 0.0
    prompt_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResult:
    """What a workflow says of one line; scores in ``[0, 1]``, None from the rules."""

    line_number: int
    verdict: Verdict = Verdict.APPROVE
    tier: Tier = Tier.RULES
    place: Place = Place.TERMINAL
    score: float | None = None
    confidence: float | None = None
    expected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowResult:
    """The answer of one workflow."""

    workflow: str
    verdict: Verdict = Verdict.APPROVE
    tier: Tier = Tier.RULES
    place: Place = Place.TERMINAL
    mode: Mode = Mode.EMERGENCY
    score: float | None = None
    confidence: float | None = None
    reasons: tuple[Reason, ...] = ()
    offers: tuple[OfferResult, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    pending: bool = False
    outputs: tuple[NamedValue, ...] = ()
    lines: tuple[LineResult, ...] = ()
    prompts: tuple[OperatorPrompt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRef:
    """A versioned thing that took part; ``age`` at the basket's evaluation time."""

    kind: str
    name: str
    version: str
    digest: str
    freshness: Freshness
    age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpend:
    """One entry of the budget ledger, in microseconds of wall time."""

    stage: str
    spent_us: int
    allotted_us: int
    result: StageResult
    workflow: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The whole answer, as a terminal or a gateway gives it."""

    request_id: str
    decision_id: str
    results: tuple[WorkflowResult, ...]
    verdict: Verdict
    mode: Mode = Mode.EMERGENCY
    artifacts: tuple[ArtifactRef, ...] = ()
    ledger: tuple[StageSpend, ...] = ()
    budget: timedelta = timedelta(0)
    total: timedelta = timedelta(0)
    gateway_time: datetime | None = None
    basket_revision: int = 0
    basket_pin: bytes = b""
    notices: tuple[Reason, ...] = ()


RECOMMENDATION_KIND = "recommendation"
"""The workflow kind whose verdict does not count."""


def highest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the highest verdict; APPROVE when there is none."""
    return max(verdicts, default=Verdict.APPROVE)


def projection(result: WorkflowResult) -> tuple[object, ...]:
    """Return what terminal and gateway must agree on for equal inputs."""
    return (
        result.workflow,
        result.verdict,
        result.reasons,
        result.offers,
        result.recommendations,
        result.prompts,
    )
