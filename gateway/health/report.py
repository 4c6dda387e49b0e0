"""The health report: one JSON document, the same for page, command and monitoring.

Fields are added, never changed or removed; docs/cli.md lists them. No basket, no operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from cloud_sync.active_file import Active
from cloud_sync.records import StreamStats
from gateway.health.conditions import Severity, ShownCondition
from gateway.health.observations import Observations
from gateway.terminals import Terminal


class Health(StrEnum):
    """The box in one word."""

    OK = "ok"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


def overall(shown: Sequence[ShownCondition]) -> Health:
    """Return the word for what is shown."""
    if any(one.condition.severity is Severity.ERROR for one in shown):
        return Health.UNHEALTHY
    return Health.DEGRADED if shown else Health.OK


def report(seen: Observations, shown: Sequence[ShownCondition]) -> dict[str, object]:
    """Return the document."""
    serving = seen.serving
    return {
        "schema": 1,
        "health": overall(shown).value,
        "time": _time(seen.time),
        "store_id": seen.store_id,
        "time_zone": seen.time_zone,
        "version": seen.version,
        "mode": None if serving is None else serving.mode.name.lower(),
        "degrade_reasons": [] if serving is None else list(serving.degrade_reasons),
        "conditions": [_condition(one) for one in shown],
        "serving": {
            "answering": serving is not None,
            "ready": serving is not None and serving.ready,
            "epoch": "" if serving is None else serving.epoch,
            "problem": seen.serving_problem,
        },
        "artifacts": [_artifact(seen, slot, one) for slot, one in sorted(seen.active.items())],
        "channels": [
            {
                "name": channel.name,
                "last_seen_time": _time(channel.seen_at),
                "documents_expire_time": _time(channel.expires),
                "problem": channel.problem,
            }
            for channel in seen.channels
        ],
        "cloud": {
            "configured": seen.cloud.configured,
            "reachable": seen.cloud.reachable,
            "last_success_time": _time(seen.cloud.last_success),
            "problem": seen.cloud.problem,
        },
        "outbox": None if seen.streams is None else [_stream(one) for one in seen.streams],
        "terminals": [
            _terminal(one, silent=one.workstation_id in seen.silent) for one in seen.terminals
        ],
        "certificates": [
            {"use": use, "not_after_time": _time(end)} for use, end in seen.certificates.items()
        ],
    }


def _condition(shown: ShownCondition) -> dict[str, object]:
    condition = shown.condition
    return {
        "code": condition.code,
        "about": condition.about,
        "severity": condition.severity.value,
        "owner": condition.owner,
        "text": condition.text,
        "remedy": condition.remedy,
        "since_time": _time(shown.since),
    }


def _artifact(seen: Observations, slot: tuple[str, str], active: Active) -> dict[str, object]:
    release = active.release
    served = None if seen.serving is None else seen.serving.serving.get(slot)
    return {
        "kind": release.kind,
        "name": release.name,
        "version": release.version,
        "digest": release.digest,
        "counter": active.counter,
        "activated_time": _time(active.activated),
        "previous_version": "" if active.previous is None else active.previous.version,
        # What the serving process says it serves, not what it was told to.
        "serving": served == release.digest,
        "problem": seen.artifact_problems.get(slot, ""),
    }


def _stream(stats: StreamStats) -> dict[str, object]:
    return {
        "stream": stats.stream,
        "row_count": stats.row_count,
        "byte_count": stats.byte_count,
        "oldest_time": _time(stats.oldest),
    }


def _terminal(terminal: Terminal, *, silent: bool) -> dict[str, object]:
    skew = terminal.clock_skew
    return {
        "workstation_id": terminal.workstation_id,
        "state": "silent" if silent else "heard",
        "heard_time": _time(terminal.heard),
        "client_version": terminal.client_version,
        "fallback_digest": terminal.fallback_digest,
        "clock_skew_s": None if skew is None else skew.total_seconds(),
        "spooled_decisions": terminal.spooled_decisions,
        "fallback_decisions": terminal.fallback_decisions,
    }


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="milliseconds")
