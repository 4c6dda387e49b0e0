"""What the two doors answer: monitoring on loopback, the command on the unix socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import unquote

from cloud_sync.errors import HostRefusedError, HostUnavailableError, StoreUnavailableError
from cloud_sync.records import StoredDecision
from gateway.health.door import Reply, Routes, json_reply
from gateway.health.exposition import CONTENT_TYPE
from gateway.health.monitor import HealthMonitor
from terminal_client.core.modes import Mode, ModeName

_MODES = {name.value: Mode[name.name] for name in ModeName}


class Orders(Protocol):
    """What the command may ask of control; called from the door's threads."""

    def decision(self, decision_id: str) -> StoredDecision | None:
        """Return a decision by its id. Raises: StoreUnavailableError."""
        ...

    def force_mode(self, mode: Mode | None) -> None:
        """Order a mode, or take it back.

        Raises: HostUnavailableError, HostRefusedError, StoreUnavailableError.
        """
        ...


def monitoring(monitor: HealthMonitor, render: Callable[[], bytes]) -> Routes:
    """Return the routes of the loopback door: reading only."""

    def alive(rest: str, body: bytes) -> Reply:
        del rest, body
        return json_reply({"alive": not monitor.stuck}, 503 if monitor.stuck else 200)

    def ready(rest: str, body: bytes) -> Reply:
        del rest, body
        can = monitor.ready and not monitor.stuck
        return json_reply({"ready": can}, 200 if can else 503)

    def metrics(rest: str, body: bytes) -> Reply:
        del rest, body
        return Reply(status=200, body=render(), content_type=CONTENT_TYPE)

    return {
        ("GET", "/healthz"): alive,
        ("GET", "/readyz"): ready,
        ("GET", "/metrics"): metrics,
        ("GET", "/health.json"): _health(monitor),
    }


def administration(monitor: HealthMonitor, orders: Orders) -> Routes:
    """Return the routes of the unix socket."""

    def mode(rest: str, body: bytes) -> Reply:
        del rest
        try:
            wanted = json.loads(body or b"null")
            name = wanted["mode"] if isinstance(wanted, Mapping) else wanted
            ordered = None if name is None else _MODES[name]
        except (ValueError, KeyError, TypeError):
            return json_reply({"error": f"write one of {', '.join(sorted(_MODES))}"}, 400)
        try:
            orders.force_mode(ordered)
        except (HostUnavailableError, TimeoutError) as exc:
            return json_reply({"error": str(exc) or "serving does not answer"}, 503)
        except StoreUnavailableError as exc:
            return json_reply({"error": str(exc)}, 503)
        except HostRefusedError as exc:
            return json_reply({"error": str(exc)}, 409)
        return json_reply({"state": "released" if ordered is None else "forced", "mode": name})

    def decision(rest: str, body: bytes) -> Reply:
        del body
        try:
            found = orders.decision(unquote(rest))
        except (StoreUnavailableError, TimeoutError) as exc:
            return json_reply({"error": str(exc) or "the database does not answer"}, 503)
        if found is None:
            return json_reply({"error": "no such decision on this box"}, 404)
        return json_reply(_decision(found))

    return {
        ("GET", "/health.json"): _health(monitor),
        ("POST", "/mode"): mode,
        ("GET", "/decisions/"): decision,
    }


def _health(monitor: HealthMonitor) -> Callable[[str, bytes], Reply]:
    def health(rest: str, body: bytes) -> Reply:
        del rest, body
        return json_reply(monitor.report)

    return health


def _decision(found: StoredDecision) -> dict[str, object]:
    """Return the record; request and response as their bytes in base64."""
    return {
        "decision_id": found.decision_id,
        "request_id": found.request_id,
        "source": found.source.name.lower(),
        "workstation_id": found.origin,
        "epoch": found.epoch,
        "sequence": found.sequence,
        "decided_time": found.decided.isoformat(timespec="milliseconds"),
        "recorded_time": found.recorded.isoformat(timespec="milliseconds"),
        "fallback_reason": found.fallback_reason,
        "superseded_by": found.superseded_by,
        "request": base64.b64encode(found.request).decode(),
        "response": base64.b64encode(found.response).decode(),
    }
