"""How a terminal is: counts of its lane, and a snapshot for whoever looks after it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from terminal_client.channel import GatewayLink
from terminal_client.fallback_reason import FallbackReason
from terminal_client.spool import SpoolCounts
from terminal_client.state import TerminalState
from terminal_client.upkeep import Contact, Upkeep
from terminal_client.uploader import UploadCounts, Uploader


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleStatus:
    """The fallback bundle in use; ``expired`` are signed documents past their date."""

    name: str
    version: str
    digest: str
    as_of: datetime
    expired: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalStatus:
    """A snapshot. Counts are since the client was opened; ``conditions`` hold now.

    ``compared``: answers of a gateway beside which the terminal's own, by the same rules, was
    ready; ``agreed``: of those, how many were equal.
    """

    gateway_answers: int
    own_answers: Mapping[FallbackReason, int]
    compared: int
    agreed: int
    failures: int
    spool: SpoolCounts | None
    uploads: UploadCounts | None
    bundle: BundleStatus | None
    contact: Contact | None
    gateways: Mapping[str, str]
    conditions: tuple[str, ...]


class LaneTally:
    """Thread-safe counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gateway = self._compared = self._agreed = self._failures = 0
        self._own: Counter[FallbackReason] = Counter()

    def gateway_answered(self) -> None:
        """Count an answer of a gateway."""
        with self._lock:
            self._gateway += 1

    def answered_alone(self, reason: FallbackReason) -> None:
        """Count an own answer."""
        with self._lock:
            self._own[reason] += 1

    def compared(self, *, agreed: bool) -> None:
        """Count a comparison."""
        with self._lock:
            self._compared += 1
            self._agreed += agreed

    def failed(self) -> None:
        """Count an answer of last resort: a fault of this client."""
        with self._lock:
            self._failures += 1

    def snapshot(self) -> tuple[int, Mapping[FallbackReason, int], int, int, int]:
        """Return gateway answers, own answers, compared, agreed, failures."""
        with self._lock:
            own = dict(self._own)
            return self._gateway, own, self._compared, self._agreed, self._failures


def snapshot(
    state: TerminalState,
    links: Sequence[GatewayLink],
    tally: LaneTally,
    uploader: Uploader | None,
    upkeep: Upkeep,
    now: datetime,
) -> TerminalStatus:
    """Return how everything is at ``now``."""
    gateway, own, compared, agreed, failures = tally.snapshot()
    return TerminalStatus(
        gateway_answers=gateway,
        own_answers=own,
        compared=compared,
        agreed=agreed,
        failures=failures,
        spool=state.spool.counts if state.spool else None,
        uploads=replace(uploader.counts) if uploader else None,
        bundle=_bundle_status(state, now),
        contact=upkeep.contact,
        gateways={link.address.serving: link.state for link in links},
        conditions=(*state.conditions, *state.cache.conditions, *upkeep.conditions),
    )


def _bundle_status(state: TerminalState, now: datetime) -> BundleStatus | None:
    held = state.cache.active
    if held is None:
        return None
    return BundleStatus(
        name=held.bundle.name,
        version=held.bundle.version,
        digest=held.bundle.digest,
        as_of=held.bundle.as_of,
        expired=held.trusted.expired(now),
    )
