"""Looks at the box once a second and keeps the last report and the gauges current."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from time import monotonic

from gateway.control_metrics import ControlMetrics
from gateway.health.conditions import ConditionBoard, conditions
from gateway.health.observations import Observations
from gateway.health.report import Health, report

LOOK_EVERY_S = 1.0
STUCK_AFTER_S = 10.0

_CLASSES = {"decisions": "decision"}

logger = logging.getLogger(__name__)


class HealthMonitor:
    """The last report; read from any thread."""

    def __init__(
        self, look: Callable[[], Awaitable[Observations]], metrics: ControlMetrics
    ) -> None:
        self._look = look
        self._metrics = metrics
        self._board = ConditionBoard()
        self._looked_s = monotonic()
        self.report: dict[str, object] = {"schema": 1, "health": Health.UNHEALTHY.value}
        self.ready = False

    @property
    def stuck(self) -> bool:
        """Tell whether control has stopped looking: its loop hangs."""
        return monotonic() - self._looked_s > STUCK_AFTER_S

    async def run(self) -> None:
        """Look until cancelled. A look that fails is told by ``stuck``, and ends nothing else."""
        while True:
            try:
                await self.look()
            # This task's outermost edge: uploads go on without a page.
            except Exception:
                logger.exception("a look at the box failed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once."""
        seen = await self._look()
        shown = self._board.shown(conditions(seen), seen.time)
        self._gauge(seen)
        self.report = report(seen, shown)
        self.ready = seen.serving is not None and seen.serving.ready
        self._looked_s = monotonic()

    def _gauge(self, seen: Observations) -> None:
        metrics = self._metrics
        for channel in seen.channels:
            if channel.seen_at is not None:
                metrics.sync_last_success.labels(channel.name).set(channel.seen_at.timestamp())
        if seen.cloud.reachable is not None:
            metrics.cloud_reachable.set(int(seen.cloud.reachable))
        for stream in seen.streams or ():
            labels = (stream.stream, _CLASSES.get(stream.stream, "audit"))
            metrics.outbox_rows.labels(*labels).set(stream.row_count)
            metrics.outbox_bytes.labels(*labels).set(stream.byte_count)
            age_s = 0.0 if stream.oldest is None else (seen.time - stream.oldest).total_seconds()
            metrics.outbox_oldest.labels(*labels).set(max(age_s, 0.0))
        states = Counter(
            "silent" if one.workstation_id in seen.silent else "heard" for one in seen.terminals
        )
        for state in ("heard", "silent"):
            metrics.terminals.labels(state).set(states[state])
        # Not one value per register: whoever sends other names would make the document grow.
        skews_s = [
            one.clock_skew.total_seconds() for one in seen.terminals if one.clock_skew is not None
        ]
        metrics.clock_skew.labels("max").set(max(skews_s, default=0.0))
        metrics.clock_skew.labels("min").set(min(skews_s, default=0.0))
        for use, end in seen.certificates.items():
            metrics.certificate_end.labels(use).set(end.timestamp())
