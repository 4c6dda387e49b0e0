"""What control counts and shows. Names as in docs/metrics.md; rendering is ``health``'s.

Both processes write prometheus_client's multi-process files, so a name may be counted by
both and is added up where it is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from cloud_sync.records import Gap

_LIVE: Final = "livemostrecent"


class ControlMetrics:
    """Control's metrics; one instance per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry, multiprocess_mode=_LIVE)

        self.build_info = gauge("posgate_build_info", "Always 1.", "version")
        self.sync_last_success = gauge(
            "posgate_sync_last_success_timestamp_seconds",
            "When the channel's documents were last seen in the cloud and believed.",
            "channel",
        )
        self.cloud_reachable = gauge(
            "posgate_cloud_reachable", "1 while the last look at the cloud succeeded."
        )
        outbox = ("stream", "class")
        self.outbox_rows = gauge("posgate_outbox_rows", "Events in the outbox.", *outbox)
        self.outbox_bytes = gauge("posgate_outbox_bytes", "Bytes in the outbox.", *outbox)
        self.outbox_oldest = gauge(
            "posgate_outbox_oldest_seconds", "Age of the oldest event.", *outbox
        )
        self._dropped = Counter(
            "posgate_outbox_dropped",
            "Decisions known to be lost before they could be stored.",
            outbox,
            registry=registry,
        )
        self.terminals = gauge("posgate_terminals", "Registers by state.", "state")
        self.clock_skew = gauge(
            "posgate_terminal_clock_skew_seconds",
            "The registers' clocks less the box's: the furthest ahead and the furthest behind.",
            "bound",
        )
        self.certificate_end = gauge(
            "posgate_cert_not_after_timestamp_seconds", "When a certificate ends.", "use"
        )
        self._fallbacks = Counter(
            "posgate_fallback",
            "Rules answers given instead of a model's.",
            ("where", "reason"),
            registry=registry,
        )
        self._exercised = Counter(
            "posgate_fallback_exercised",
            "A register's own answers compared with the box's.",
            ("workflow", "agreed"),
            registry=registry,
        )

    def lost(self, gaps: Iterable[Gap]) -> None:
        """Count decisions lost; a gap of unknown size counts as one."""
        for gap in gaps:
            self._dropped.labels("decisions", "decision").inc(max(gap.lost_count, 1))

    def terminal_decided(self, reason: str) -> None:
        """Count a decision that a register made itself."""
        self._fallbacks.labels("terminal", reason).inc()

    def exercised(self, agreed: int, differed: int) -> None:
        """Count comparisons; registers report them over all workflows together."""
        self._exercised.labels("all", "true").inc(agreed)
        self._exercised.labels("all", "false").inc(differed)
