"""What serving counts, with every label bound before the first call.

Owns the names of the data plane. In the serving process prometheus_client writes to files
in tmpfs (its multi-process mode, chosen by the environment before this module is imported),
and control renders them: nothing is rendered here. Labels never name a basket, an operator
or an item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from terminal_client.core.decision import StageResult, StageSpend, WorkflowResult
from terminal_client.core.modes import Mode

_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_LIVE: Final = "livemostrecent"


class ServingMetrics:
    """The data plane's metrics; one instance per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = Counter(
            "posgate_decisions",
            "Workflow answers given.",
            ("workflow", "verdict", "source", "mode"),
            registry=registry,
        )
        self._seconds = Histogram(
            "posgate_decision_seconds",
            "Time of a call on the box, by each workflow asked.",
            ("workflow",),
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._stages = Histogram(
            "posgate_stage_seconds",
            "Time of a stage that ran.",
            ("stage",),
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._exceeded = Counter(
            "posgate_budget_exceeded",
            "Stages skipped or cut for want of time.",
            ("workflow", "stage"),
            registry=registry,
        )
        self._fallbacks = Counter(
            "posgate_fallback", "Rules answers given instead of a model's.", ("where", "reason"),
            registry=registry,
        )  # fmt: skip
        self._mode = Gauge(
            "posgate_mode", "1 for the mode in force.", ("workflow", "mode"),
            registry=registry, multiprocess_mode=_LIVE,
        )  # fmt: skip
        self._degrade = Gauge(
            "posgate_degrade_reason", "1 while it holds.", ("reason",),
            registry=registry, multiprocess_mode=_LIVE,
        )  # fmt: skip
        self._canary = Gauge(
            "posgate_canary_success", "1: the model's golden vectors came out right.", ("model",),
            registry=registry, multiprocess_mode=_LIVE,
        )  # fmt: skip
        self._provider = Gauge(
            "posgate_execution_provider_info", "What runs a model.", ("model", "provider"),
            registry=registry, multiprocess_mode=_LIVE,
        )  # fmt: skip
        self._artifact = Gauge(
            "posgate_artifact_info", "1 while serving holds it in this state.",
            ("kind", "name", "version", "digest8", "state"),
            registry=registry, multiprocess_mode=_LIVE,
        )  # fmt: skip
        self.card_numbers = Counter(
            "posgate_card_number_refused", "Fields blanked because of a card number.",
            registry=registry,
        )  # fmt: skip
        self.journal_lost = Counter(
            "posgate_journal_lost", "Decisions that found the journal full.", registry=registry
        )
        self.journal_used = Gauge(
            "posgate_journal_used_ratio", "How full the journal is.",
            registry=registry, multiprocess_mode=_LIVE,
        )  # fmt: skip
        self.shed = Counter(
            "posgate_shed", "Calls answered by the rules because of overload.", registry=registry
        )
        self.concurrency_limit = Gauge(
            "posgate_concurrency_limit", "Calls decided at once, at most.",
            registry=registry, multiprocess_mode=_LIVE,
        )  # fmt: skip
        self.defects = Counter(
            "posgate_decision_defects", "Exceptions that a rules answer stood in for.",
            registry=registry,
        )  # fmt: skip
        self.replayed = Counter(
            "posgate_replayed", "Answers given again, byte for byte.", registry=registry
        )
        self._bound: dict[tuple[str, ...], Counter] = {}
        self._bound_seconds: dict[str, Histogram] = {}
        self._modes_shown: dict[str, Mode] = {}
        self._reasons_shown: set[str] = set()
        self._artifacts_shown: set[tuple[str, str, str, str, str]] = set()

    def decided(self, result: WorkflowResult, total_us: int) -> None:
        """Count one workflow's answer."""
        labels = (
            result.workflow,
            result.verdict.name.lower(),
            result.tier.name.lower(),
            result.mode.name.lower(),
        )
        counter = self._bound.get(labels)
        if counter is None:
            counter = self._bound[labels] = self._decisions.labels(*labels)
        counter.inc()
        self._histogram(self._seconds, result.workflow).observe(total_us / 1e6)

    def spent(self, spend: StageSpend) -> None:
        """Count one entry of a ledger."""
        if spend.result is StageResult.RAN:
            self._histogram(self._stages, spend.stage).observe(spend.spent_us / 1e6)
        elif spend.result is not StageResult.NOT_ALLOWED:
            self._exceeded.labels(spend.workflow, spend.stage).inc()

    def fell_back(self, reason: str) -> None:
        """Count a rules answer given instead of a model's, here."""
        key = ("fallback", reason)
        if key not in self._bound:
            self._bound[key] = self._fallbacks.labels("gateway", reason)
        self._bound[key].inc()

    def modes(self, modes: Mapping[str, Mode], reasons: frozenset[str]) -> None:
        """Show the modes in force and why."""
        for workflow, mode in modes.items():
            before = self._modes_shown.get(workflow)
            if before is not mode:
                if before is not None:
                    self._mode.labels(workflow, before.name.lower()).set(0)
                self._mode.labels(workflow, mode.name.lower()).set(1)
                self._modes_shown[workflow] = mode
        for reason in reasons ^ self._reasons_shown:
            self._degrade.labels(reason).set(int(reason in reasons))
        self._reasons_shown = set(reasons)

    def artifacts(self, held: set[tuple[str, str, str, str, str]]) -> None:
        """Show what serving holds: (kind, name, version, digest8, state)."""
        for labels in held ^ self._artifacts_shown:
            self._artifact.labels(*labels).set(int(labels in held))
        self._artifacts_shown = set(held)

    def canary(self, model: str, provider: str, *, passed: bool) -> None:
        """Show a canary's outcome."""
        self._canary.labels(model).set(int(passed))
        if passed:
            self._provider.labels(model, provider).set(1)

    def _histogram(self, parent: Histogram, label: str) -> Histogram:
        key = f"{id(parent)}{label}"
        if key not in self._bound_seconds:
            self._bound_seconds[key] = parent.labels(label)
        return self._bound_seconds[key]
