"""Conditions: a problem as data, with its cause in one sentence and its remedy in another.

Owns which observations are a problem, and whose. A consequence is hidden while its cause is
shown, and one that heals within its grace is never shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.health.observations import Observations
from terminal_client.core.reasons import REASON_CODES

CERTIFICATE_WARNING = timedelta(days=30)
_MOMENT = timedelta(0)


class Severity(StrEnum):
    """``ERROR``: the box does not do its work; ``WARNING``: it does it with less."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One problem. ``about`` tells two of one code apart; ``hidden_by`` are codes."""

    code: str
    severity: Severity
    owner: str
    text: str
    remedy: str
    about: str = ""
    grace: timedelta = _MOMENT
    hidden_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCondition:
    """A condition past its grace, and since when it holds."""

    condition: Condition
    since: datetime


class ConditionBoard:
    """Remembers since when each condition holds."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], datetime] = {}

    def shown(self, conditions: Iterable[Condition], now: datetime) -> tuple[ShownCondition, ...]:
        """Return what is to be shown at ``now``, errors first."""
        found = {(one.code, one.about): one for one in conditions}
        self._since = {key: self._since.get(key, now) for key in found}
        codes = {code for code, _ in found}
        shown = [
            ShownCondition(condition=condition, since=self._since[key])
            for key, condition in found.items()
            if now - self._since[key] >= condition.grace and not codes & condition.hidden_by
        ]
        shown.sort(key=lambda one: (one.condition.severity is not Severity.ERROR, one.since))
        return tuple(shown)


def conditions(seen: Observations) -> Iterator[Condition]:
    """Yield every problem in what was seen."""
    yield from _serving(seen)
    yield from _artifacts(seen)
    yield from _disk(seen)
    yield from _cloud(seen)
    yield from _certificates(seen)
    for workstation_id in sorted(seen.silent):
        yield Condition(
            code="TERMINAL_SILENT",
            severity=Severity.WARNING,
            owner="store",
            about=workstation_id,
            text=f"Register {workstation_id} has not been heard for a while.",
            remedy="Check that it is switched on and its network cable is in.",
        )


def _serving(seen: Observations) -> Iterator[Condition]:
    if seen.serving is None:
        yield Condition(
            code="SERVING_DOWN",
            severity=Severity.ERROR,
            owner="ops",
            grace=timedelta(seconds=3),
            text=f"The serving process does not answer: {seen.serving_problem}.",
            remedy="Registers decide by themselves; restart with 'posgate gateway run'.",
        )
        return
    if not seen.serving.ready:
        yield Condition(
            code="NOT_READY",
            severity=Severity.ERROR,
            owner="ops",
            grace=timedelta(seconds=3),
            text="The serving process can decide nothing yet.",
            remedy="Run 'posgate status' and look at the rules artifact.",
        )
    if seen.serving_problem:
        yield Condition(
            code="SERVING_OUT_OF_STEP",
            severity=Severity.WARNING,
            owner="platform",
            grace=timedelta(seconds=3),
            text=f"The serving process did not take an order: {seen.serving_problem}.",
            remedy="Look at its log; 'posgate gateway run' restarts it.",
        )
    mode = seen.serving.mode.name.lower()
    for code in seen.serving.degrade_reasons:
        known = REASON_CODES.get(code)
        yield Condition(
            code=code,
            severity=Severity.WARNING,
            owner="ops" if known is None else known.owner.value,
            text=f"The mode is {mode}: {'see the code' if known is None else known.meaning}",
            remedy="See docs/reason-codes.md." if known is None else known.next_step,
        )


def _artifacts(seen: Observations) -> Iterator[Condition]:
    if not any(kind == "rules" for kind, _ in seen.active):
        yield Condition(
            code="NO_RULES",
            severity=Severity.ERROR,
            owner="platform",
            grace=timedelta(seconds=10),
            text="No signed rules are active on this box.",
            remedy="Check cloud.bundles_url, trust.root and trust.ring with 'posgate config show'.",
        )
    for (kind, name), problem in seen.artifact_problems.items():
        yield Condition(
            code="CANARY_FAILED",
            severity=Severity.WARNING,
            owner="mlops",
            about=f"{kind}/{name}",
            text=f"This box refuses a release: {problem}.",
            remedy="What decided before still does; promote a release that passes here.",
        )


def _disk(seen: Observations) -> Iterator[Condition]:
    if seen.streams is None or seen.journal_problem:
        yield Condition(
            code="DISK_PRESSURE",
            severity=Severity.ERROR,
            owner="ops",
            text="The disk takes no records; decisions wait in memory, registers keep theirs.",
            remedy="Free space under paths.state_dir, or replace the disk.",
        )


def _cloud(seen: Observations) -> Iterator[Condition]:
    if seen.cloud.reachable is False:
        yield Condition(
            code="WAN_DOWN",
            severity=Severity.WARNING,
            owner="ops",
            text=f"The cloud cannot be reached: {seen.cloud.problem}.",
            remedy="Nothing stops; check the store's line if it lasts.",
        )
    for channel in seen.channels:
        if channel.problem:
            yield Condition(
                code="SYNC_REFUSED",
                severity=Severity.WARNING,
                owner="platform",
                about=channel.name,
                grace=timedelta(seconds=3),
                hidden_by=frozenset({"WAN_DOWN", "CANARY_FAILED", "SERVING_DOWN"}),
                text=f"The {channel.name} channel does not advance: {channel.problem}.",
                remedy="What is active stays; publish the channel's documents again.",
            )
        if channel.expires is not None and channel.expires <= seen.time:
            yield Condition(
                code="METADATA_EXPIRED",
                severity=Severity.WARNING,
                owner="platform",
                about=channel.name,
                hidden_by=frozenset({"WAN_DOWN"}),
                text=f"The signed documents of {channel.name} ended on {channel.expires:%Y-%m-%d}.",
                remedy="They are still used; sign and publish them again.",
            )


def _certificates(seen: Observations) -> Iterator[Condition]:
    for use, end in seen.certificates.items():
        if end <= seen.time:
            yield Condition(
                code="CERT_EXPIRED",
                severity=Severity.ERROR,
                owner="platform",
                about=use,
                text=f"The {use} certificate ended on {end:%Y-%m-%d}: registers refuse this box.",
                remedy="Put a renewed one at tls.certificate; no restart is needed.",
            )
        elif end - seen.time < CERTIFICATE_WARNING:
            yield Condition(
                code="CERT_EXPIRING",
                severity=Severity.WARNING,
                owner="platform",
                about=use,
                text=f"The {use} certificate ends on {end:%Y-%m-%d}.",
                remedy="Put a renewed one at tls.certificate; no restart is needed.",
            )
