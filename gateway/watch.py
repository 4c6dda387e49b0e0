"""Watches over the data plane: modes, distrusted models, a late event loop, readiness.

Owns the look that runs ten times a second and after every order of control. Never on the
path of a call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from grpc_health.v1 import health_pb2

from gateway.admission import LATE_LOOP_S, Admission
from gateway.decisions.deep import DeepTier
from gateway.decisions.holdings import ArtifactRefusedError, ArtifactState, Holdings
from gateway.decisions.pipeline import deep_allotment_us
from gateway.degrade import DegradeMonitor, Observed
from gateway.metrics import ServingMetrics
from terminal_client.core.modes import Tier
from terminal_client.core.policy import WorkflowKind, WorkflowPolicy

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
RECANARY_EVERY_S = 0.5
_SERVICES = ("", "posgate.v1.DecisionService")


class Health(Protocol):
    """The health service."""

    async def set(self, service: str, status: Any) -> None:
        """Say how a service is: a ``HealthCheckResponse.ServingStatus``."""
        ...


class Watch:
    """Looks, and acts on what it sees."""

    def __init__(
        self,
        *,
        holdings: Holdings,
        deep: DeepTier,
        degrade: DegradeMonitor,
        admission: Admission,
        metrics: ServingMetrics,
        journal_used: Callable[[], float],
        ready: Callable[[], bool],
        now_s: Callable[[], float],
    ) -> None:
        """``health`` may be set later; until then nobody is told."""
        self.degrade = degrade
        self.health: Health | None = None
        self._holdings = holdings
        self._deep = deep
        self._admission = admission
        self._metrics = metrics
        self._journal_used = journal_used
        self._ready = ready
        self._now_s = now_s
        self._said_ready: bool | None = None
        self._broken: set[str] = set()

    def look(self) -> None:
        """Step the modes by what is seen now, and show them."""
        rules = self._holdings.active.rules
        if rules is not None:
            before = self.degrade.mode
            self.degrade.look(rules.policy, self._observe)
            if self.degrade.mode is not before:
                why = ", ".join(sorted(self.degrade.reasons)) or "nothing is missing"
                logger.warning("mode is %s: %s", self.degrade.mode.name.lower(), why)
        self._metrics.modes({**self.degrade.modes, "": self.degrade.mode}, self.degrade.reasons)
        self._metrics.artifacts(
            {
                (
                    a.kind,
                    a.name,
                    a.version,
                    a.digest.removeprefix("sha256:")[:8],
                    a.state.name.lower(),
                )
                for a in self._holdings
            }
        )
        self._metrics.journal_used.set(self._journal_used())
        self._metrics.concurrency_limit.set(self._admission.limit)

    async def run(self) -> None:
        """Look until cancelled; the lateness of this very timer tells how late the loop is."""
        while True:
            due_s = self._now_s() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            if self._now_s() - due_s > LATE_LOOP_S:
                self._admission.late()
            else:
                self._admission.recover()
            self.look()
            await self._tell_health()

    async def recanary_forever(self) -> None:
        """Give distrusted models a chance until cancelled."""
        while True:
            await asyncio.sleep(RECANARY_EVERY_S)
            await self.recanary()

    def deep_models(self) -> list[str]:
        """Return the deep models that the policy in force names."""
        rules = self._holdings.active.rules
        if rules is None:
            return []
        names = {workflow.deep_model for workflow in rules.policy.workflows.values()}
        return sorted(names - {""})

    def _observe(self, workflow: WorkflowPolicy) -> Observed:
        return Observed(
            edge_reason=self._edge_reason(workflow), cloud_reason=self._cloud_reason(workflow)
        )

    def _edge_reason(self, workflow: WorkflowPolicy) -> str:
        if Tier.EDGE_MODEL not in workflow.tiers or _built_in(workflow):
            return ""
        model = self._holdings.active.models.get(workflow.edge_model)
        if model is None:
            return "MODEL_UNAVAILABLE"
        if not model.trusted:
            return "INFERENCE_DOWN"
        provider = self._holdings.runtime.provider(model.digest)
        return "" if provider == model.manifest.provider else "PROVIDER_CHANGED"

    def _cloud_reason(self, workflow: WorkflowPolicy) -> str:
        if Tier.DEEP_MODEL not in workflow.tiers:
            return ""
        if self._holdings.contract(workflow.edge_model) is None:
            return "MODEL_UNAVAILABLE"
        return self._deep.why_not(deep_allotment_us(workflow))

    async def _tell_health(self) -> None:
        ready = self._ready()
        if self.health is None or ready == self._said_ready:
            return
        self._said_ready = ready
        states = health_pb2.HealthCheckResponse
        for service in _SERVICES:
            await self.health.set(service, states.SERVING if ready else states.NOT_SERVING)

    async def recanary(self) -> None:
        """Ask every distrusted model its golden vectors, off the path of calls.

        A model that answers them is used again: it was one basket it could not take, and no
        register may take the model from all others.
        """
        for artifact in self._holdings:
            model = artifact.model
            if artifact.state is not ArtifactState.ACTIVE or model is None or model.trusted:
                continue
            try:
                await self._holdings.canary(artifact.digest)
            except ArtifactRefusedError as exc:
                if artifact.digest not in self._broken:
                    logger.error("model %s is not used: %s", artifact.name, exc)
                self._broken.add(artifact.digest)
            else:
                self._broken.discard(artifact.digest)
                logger.warning("model %s failed three times and is used again", artifact.name)


def _built_in(workflow: WorkflowPolicy) -> bool:
    """The queue is estimated from arrivals seen here: there is no model to load."""
    return workflow.kind is WorkflowKind.QUEUE_ESTIMATE
