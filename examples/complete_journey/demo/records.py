"""What the demo writes down: one record per call of a lane, and the facts of the run.

Owns the two formats and writing them: calls as JSON lines, the facts as one JSON object.
Rows inside a call (lines, coupons, ledger) are arrays, in the order of their class's
fields. ``record_reading.py`` reads both back, strictly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from terminal_client.core.decision import Place, StageResult, Verdict
from terminal_client.core.modes import ModeName, Tier

PLACES = tuple(place.name.lower() for place in Place)
TIERS = tuple(tier.name.lower() for tier in Tier)
MODES = tuple(mode.value for mode in ModeName)
VERDICTS = tuple(verdict.name.lower() for verdict in Verdict)
RESULTS = tuple(result.name for result in StageResult)
REPLAYS = ("calendar", "folded")

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """The price check of one line beside what the receipt shows (a loyalty discount or none).

    ``score`` in ``[0, 1]`` is None where no model scored the line.
    """

    line_number: int
    expected: bool
    truth: bool
    tier: str
    place: str
    score: float | None = None

    def __post_init__(self) -> None:
        _one_of("tier", self.tier, TIERS)
        _one_of("place", self.place, PLACES)


@dataclass(frozen=True, slots=True)
class CouponVerdict:
    """What became of one coupon: the offer's status and its first reason code, or ``""``."""

    coupon_ref: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class StageEntry:
    """One entry of the gateway's budget ledger, in microseconds of wall time."""

    stage: str
    workflow: str
    spent_us: int
    allotted_us: int
    result: str

    def __post_init__(self) -> None:
        _one_of("result", self.result, RESULTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call as the lane saw it, and the world as the driver had set it at that moment.

    ``basket`` is the receipt's number in the replay, ``local_time`` naive store time,
    ``decision_id`` the decision acted on. ``place`` is ``terminal`` when the register decided
    itself, else ``gateway``; ``fallback_reason`` says why it did (``""``: it did not).
    ``final`` marks the basket's last revision, the one that was paid: it alone has ``lines``.
    ``gateway_total_ms``, ``gateway_budget_ms`` and ``ledger`` are the gateway's own account.
    ``book_age_days`` is the age of the price book at the basket's time; None: none took part.
    """

    request_id: str
    decision_id: str
    lane: str
    basket: int
    final: bool
    local_time: datetime
    week: int
    wan_up: bool
    gateway_up: bool
    place: str
    mode: str
    fallback_reason: str = ""
    budget_ms: float
    took_ms: float
    timer_late_ms: float
    gateway_total_ms: float | None = None
    gateway_budget_ms: float | None = None
    verdict: str
    reasons: tuple[str, ...] = ()
    book_age_days: float | None = None
    rules_version: str = ""
    lines: tuple[LineOutcome, ...] = ()
    coupons: tuple[CouponVerdict, ...] = ()
    coupons_expected: tuple[CouponVerdict, ...] = ()
    ledger: tuple[StageEntry, ...] = ()

    def __post_init__(self) -> None:
        _one_of("place", self.place, PLACES)
        _one_of("mode", self.mode, MODES)
        _one_of("verdict", self.verdict, VERDICTS)
        if self.local_time.tzinfo is not None:
            raise ValueError("local_time has a time zone; write naive store time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Both sides' books, compared by the driver after the last upload.

    ``decisions_acted``: calls answered, each acted on once. ``decisions_recorded``: of these,
    how many control holds as decision of record. Lost: held by nobody. Doubled: more than one
    decision of record for one call. Superseded: the gateway had answered as well, too late.
    """

    decisions_acted: int
    decisions_recorded: int
    decisions_lost: int
    decisions_doubled: int
    decisions_superseded: int
    outcomes_sent: int
    outcomes_recorded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the run took place: ``system`` and ``python`` are words for people."""

    cpu_count: int
    system: str
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is true of the run as a whole.

    ``started`` and ``finished`` are aware, ``wan_cut`` and ``gateway_dead`` naive store time
    (from, to); None: it did not happen. ``replay``: ``calendar`` keeps baskets in their
    weeks, ``folded`` lays a year on one day (load only: no accuracy is claimed).
    ``calls_planned`` is how many answers the lanes were to get, ``deep_calls`` how many
    questions reached the cloud. ``answers_compared`` counts the registers' own answers that
    were compared with a gateway's in ``emergency``, ``answers_agreed`` the equal ones.
    ``processes`` names what ran, ``versions`` holds package: version.
    """

    started: datetime
    finished: datetime
    wall_s: float
    replay: str
    store: int
    weeks: tuple[int, ...]
    lanes: tuple[str, ...]
    calls_planned: int
    wan_cut: Span | None
    gateway_dead: Span | None
    first_answer_after_restart_ms: float | None
    deep_calls: int
    answers_compared: int
    answers_agreed: int
    settle: Settlement
    processes: tuple[str, ...]
    versions: dict[str, str]
    machine: Machine

    def __post_init__(self) -> None:
        _one_of("replay", self.replay, REPLAYS)
        for name in ("started", "finished"):
            if getattr(self, name).tzinfo is None:
                raise ValueError(f"{name} has no time zone; write an aware time")


def call_line(call: CallRecord) -> str:
    """Return a call as one JSON line, without the line's end."""
    document = {field.name: getattr(call, field.name) for field in fields(call)}
    for name in ("lines", "coupons", "coupons_expected", "ledger"):
        document[name] = [astuple(row) for row in document[name]]
    document["local_time"] = call.local_time.isoformat()
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def write_calls(path: Path, calls: Iterable[CallRecord]) -> None:
    """Write calls as JSON lines; an existing file is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(call_line(call) + "\n" for call in calls)


def write_facts(path: Path, facts: RunFacts) -> None:
    """Write the facts of a run as JSON; an existing file is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts_document(facts), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def facts_document(facts: RunFacts) -> dict[str, Any]:
    """Return the facts as JSON values; times are ISO 8601."""
    document = asdict(facts)
    document["started"] = facts.started.isoformat()
    document["finished"] = facts.finished.isoformat()
    for name in ("wan_cut", "gateway_dead"):
        span = document[name]
        document[name] = None if span is None else [moment.isoformat() for moment in span]
    return document


def _one_of(name: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise ValueError(f"{name} is {word!r:.40}; write one of {', '.join(words)}")
