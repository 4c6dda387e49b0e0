"""Where the time went: at the register against its budget, in the gateway by stage.

A call is outside its budget at the register when it took more than the budget, twenty
milliseconds for the operating system, and the lateness of a control timer in the same
process; at the gateway when its ledger adds up to more than the budget it had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from examples.complete_journey.demo.records import CallRecord, StageEntry
from examples.complete_journey.demo.shares import Spread, spread

SLACK_MS = 20.0
_TIMED = ("RAN", "CUT")
_ORDER = ("admission", "rules", "features", "edge", "deep", "encode")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLatency:
    """One stage of one workflow (``""``: of the call); times in milliseconds.

    ``spent`` covers the entries that ran or were cut, ``allotted_ms`` is the most a call
    gave the stage, ``over`` how many entries that ran took more than they were given.
    ``results`` counts all entries by result.
    """

    stage: str
    workflow: str
    spent: Spread | None
    allotted_ms: float
    over: int
    results: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Times in milliseconds: at the register by who answered, at the gateway by stage."""

    terminal: Spread | None
    by_place: dict[str, Spread]
    budget_ms: float
    gateway: Spread | None
    stages: tuple[StageLatency, ...]
    outside_terminal: int
    outside_gateway: int
    outside: int
    timer_late: Spread | None


def latency(calls: Iterable[CallRecord]) -> Latency:
    """Return where the time of recorded calls went; ``budget_ms`` is the smallest of them."""
    seen = list(calls)
    places: dict[str, list[float]] = defaultdict(list)
    for call in seen:
        places[call.place].append(call.took_ms)
    return Latency(
        terminal=spread(call.took_ms for call in seen),
        by_place={place: _some(places[place]) for place in sorted(places)},
        budget_ms=min((call.budget_ms for call in seen), default=0.0),
        gateway=spread(c.gateway_total_ms for c in seen if c.gateway_total_ms is not None),
        stages=_stages(entry for call in seen for entry in call.ledger),
        outside_terminal=sum(outside_at_terminal(call) for call in seen),
        outside_gateway=sum(outside_at_gateway(call) for call in seen),
        outside=sum(outside_at_terminal(call) or outside_at_gateway(call) for call in seen),
        timer_late=spread(call.timer_late_ms for call in seen),
    )


def outside_at_terminal(call: CallRecord) -> bool:
    """Tell whether the register waited longer than it allowed."""
    return call.took_ms > call.budget_ms + SLACK_MS + call.timer_late_ms


def outside_at_gateway(call: CallRecord) -> bool:
    """Tell whether the gateway's own account exceeds what it was given."""
    if call.gateway_total_ms is None or call.gateway_budget_ms is None:
        return False
    return call.gateway_total_ms > call.gateway_budget_ms


def _some(values: list[float]) -> Spread:
    measured = spread(values)
    assert measured is not None
    return measured


def _stages(entries: Iterable[StageEntry]) -> tuple[StageLatency, ...]:
    groups: dict[tuple[str, str], list[StageEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.stage, entry.workflow].append(entry)
    return tuple(_stage(*name, groups[name]) for name in sorted(groups, key=_position))


def _position(name: tuple[str, str]) -> tuple[int, str, str]:
    stage, workflow = name
    return (_ORDER.index(stage) if stage in _ORDER else len(_ORDER), stage, workflow)


def _stage(stage: str, workflow: str, entries: list[StageEntry]) -> StageLatency:
    timed = [entry for entry in entries if entry.result in _TIMED]
    return StageLatency(
        stage=stage,
        workflow=workflow,
        spent=spread(entry.spent_us / 1000 for entry in timed),
        allotted_ms=max((entry.allotted_us for entry in timed), default=0) / 1000,
        over=sum(entry.spent_us > entry.allotted_us for entry in timed if entry.result == "RAN"),
        results=dict(sorted(Counter(entry.result for entry in entries).items())),
    )
