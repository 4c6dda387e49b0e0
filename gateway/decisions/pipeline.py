"""The model stages of a call: features, edge, one deep attempt; each only if it fits.

Owns the order, the allotments and the ledger. The rules' answer exists before this begins,
so whatever is skipped, cut or fails here leaves an answer standing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from gateway.decisions.deep import DeepAnswer, DeepFailedError, DeepQuestion, DeepTier
from gateway.decisions.holdings import Holdings, ModelHolding
from gateway.decisions.latency import LatencyWindow
from gateway.decisions.setting import Judge, Setting
from gateway.features.tables import FeatureBundle
from gateway.inference.errors import ModelBusyError, ModelFailedError
from gateway.inference.runtime import Tensors
from terminal_client.core.budget import Budget, in_microseconds
from terminal_client.core.decision import ArtifactRef, StageResult
from terminal_client.core.freshness import Freshness, age_at
from terminal_client.core.modes import Mode, Signals, Tier, lowest, observed_mode
from terminal_client.core.policy import Policy, WorkflowPolicy

_LATE_US = 3_000
"""How late a timer may fire before it has been measured here: set aside by whoever waits."""
_LATE_SHARE = 10
RAN, CUT = StageResult.RAN, StageResult.CUT
NO_TIME, FORBIDDEN = StageResult.SKIPPED_NO_TIME, StageResult.NOT_ALLOWED
_NONE = timedelta(0)


@dataclass(slots=True, kw_only=True)
class Case:
    """One workflow of one call on its way through the stages."""

    judge: Judge
    mode: Mode
    edge: ModelHolding | None = None
    edge_allowed: bool = False
    deep_allowed: bool = False
    stale: bool = False
    edge_answered: bool = False
    kept_out: bool = False
    waited_us: int = 0
    reserve_us: int = 0


class Pipeline:
    """Runs the model stages; one per engine, calls share its live latencies."""

    def __init__(self, holdings: Holdings, deep: DeepTier, now_us: Callable[[], int]) -> None:
        self._holdings = holdings
        self._deep = deep
        self._now_us = now_us
        self._windows: dict[str, LatencyWindow] = {}
        self._lateness = self._window("lateness")

    async def run(
        self, cases: list[Case], setting: Setting, budget: Budget, reserve_us: int
    ) -> list[ArtifactRef]:
        """Take every case as far as budget and mode allow; return what took part.

        ``reserve_us`` is what putting the answer together needs. Never raises for a model,
        the cloud or a clock.
        """
        artifacts: dict[str, ArtifactRef] = {}
        for case in cases:
            case.reserve_us = reserve_us
            self._features(case, setting, budget, artifacts)
        for case in cases:
            await self._edge(case, budget)
        await self._deep_stage(cases, budget)
        return list(artifacts.values())

    def _features(
        self, case: Case, setting: Setting, budget: Budget, artifacts: dict[str, ArtifactRef]
    ) -> None:
        workflow, policy = case.judge.workflow, setting.bundle.policy
        declared = (Tier.EDGE_MODEL, Tier.DEEP_MODEL)
        tiers = policy.tiers(workflow, case.mode)
        case.edge_allowed, case.deep_allowed = (tier in tiers for tier in declared)
        if not (case.edge_allowed or case.deep_allowed):
            for tier, stage in zip(declared, ("edge", "deep"), strict=True):
                if tier in workflow.tiers:
                    budget.skip(stage, FORBIDDEN, workflow.name)
            return
        case.edge = setting.active.models.get(workflow.edge_model)
        # Without an edge model at work, a held one still says what a row looks like.
        model = case.edge or self._holdings.contract(workflow.edge_model)
        if model is None:
            case.judge.missed("MODEL_UNAVAILABLE")
            case.edge_allowed = case.deep_allowed = False
            return
        window = self._window(f"features/{workflow.name}")
        allotted_us = self._allot(case, "features", window.p95_us, budget)
        if not allotted_us:
            budget.skip("features", NO_TIME, workflow.name)
            case.judge.missed("BUDGET_EXHAUSTED")
            case.edge_allowed = case.deep_allowed = False
            return
        rows = case.judge.prepare(model)
        window.add(budget.mark("features", self._now_us(), allotted_us, RAN, workflow.name))
        refs = [_model_ref(model, policy, setting)]
        if rows is not None:
            refs += [_bundle_ref(bundle, policy, setting) for bundle in rows.bundles]
        artifacts.update({ref.digest: ref for ref in refs})
        book_age = _NONE if rows is None else rows.age
        words = [
            policy.freshness["models"].judge(age_at(model.manifest.as_of, setting.at)),
            policy.freshness["features"].judge(book_age),
        ]
        case.stale = Freshness.STALE in words
        if Freshness.EXPIRED in words:
            # Judged at the basket's own time: the box's mode is not concerned.
            case.edge_allowed = False
            case.mode = lowest(
                case.mode, observed_mode(Signals(edge_usable=False, cloud_usable=True))
            )

    async def _edge(self, case: Case, budget: Budget) -> None:
        workflow = case.judge.workflow
        if Tier.EDGE_MODEL not in workflow.tiers:
            return
        inputs = case.judge.edge_inputs() if case.edge_allowed else None
        if inputs is None or case.edge is None or not case.edge.trusted:
            if case.deep_allowed or case.edge_allowed:
                budget.skip("edge", FORBIDDEN, workflow.name)
            if inputs is not None:
                case.judge.missed("MODEL_UNAVAILABLE")
            return
        window = self._window(case.edge.digest)
        waits = not self._holdings.runtime.inline(case.edge.digest)
        allotted_us = self._allot(case, "edge", window.p95_us, budget, waits=waits)
        if not allotted_us:
            budget.skip("edge", NO_TIME, workflow.name)
            case.judge.missed("BUDGET_EXHAUSTED")
            return
        result = await self._infer(case, case.edge, inputs, allotted_us)
        spent_us = budget.mark("edge", self._now_us(), allotted_us, result, workflow.name)
        if not case.kept_out:
            window.add(spent_us)
        self._late(spent_us, allotted_us, result)

    async def _infer(
        self, case: Case, model: ModelHolding, inputs: Tensors, allotted_us: int
    ) -> StageResult:
        if "" in inputs:
            inputs = {model.manifest.inputs[0].name: inputs[""]}
        runtime = self._holdings.runtime
        try:
            outputs = await runtime.infer(model.digest, inputs, allotted_us / 1e6)
        except TimeoutError:
            model.failures += 1
            case.judge.missed("BUDGET_EXHAUSTED")
            return CUT
        except ModelBusyError:
            # It says nothing of the model: not that it fails, nor how long it takes.
            case.kept_out = True
            case.judge.missed("BUDGET_EXHAUSTED")
            return CUT
        except ModelFailedError:
            model.failures += 1
            case.judge.missed("MODEL_UNAVAILABLE")
            return CUT
        model.failures = 0
        case.judge.take_edge(outputs, model.digest)
        case.edge_answered = True
        return RAN

    async def _deep_stage(self, cases: list[Case], budget: Budget) -> None:
        asked: list[tuple[Case, DeepQuestion, int]] = []
        for case in cases:
            workflow = case.judge.workflow
            if Tier.DEEP_MODEL not in workflow.tiers:
                continue
            if not case.deep_allowed:
                if case.edge_allowed:
                    budget.skip("deep", FORBIDDEN, workflow.name)
                    self._say_why(case)
                continue
            question = case.judge.question()
            if question is None:
                continue
            reason = self._deep.why_not(_allotment_us(workflow, "deep"))
            if reason:
                budget.skip("deep", FORBIDDEN, workflow.name)
                case.judge.missed(reason)
                continue
            expected_us = self._deep.expected_us(question.model)
            allotted_us = self._allot(case, "deep", expected_us, budget, waits=True)
            if not allotted_us:
                budget.skip("deep", NO_TIME, workflow.name)
                case.judge.missed("BUDGET_EXHAUSTED")
                continue
            asked.append((case, question, allotted_us))
        if asked:
            # Side by side, each once; entries are marked in the order the answers come.
            await asyncio.gather(*(self._ask(*one, budget) for one in asked))

    def _say_why(self, case: Case) -> None:
        """Name what keeps the cloud away, if there was something to ask it."""
        if case.edge_answered and case.judge.question() is not None:
            reason = self._deep.why_not(_allotment_us(case.judge.workflow, "deep"))
            case.judge.missed(reason or "POLICY_FORBIDS_MODEL")

    async def _ask(
        self, case: Case, question: DeepQuestion, allotted_us: int, budget: Budget
    ) -> None:
        result = RAN
        try:
            answer: DeepAnswer = await self._deep.ask(question, allotted_us / 1e6)
        except DeepFailedError as exc:
            case.judge.missed(exc.reason)
            result = CUT
        else:
            case.judge.take_deep(answer)
        case.waited_us = budget.mark(
            "deep", self._now_us(), allotted_us, result, case.judge.workflow.name
        )
        self._late(case.waited_us, allotted_us, result)

    def _late(self, spent_us: int, allotted_us: int, result: StageResult) -> None:
        """Learn how late a cut comes."""
        if result is CUT and spent_us > allotted_us:
            self._lateness.add(spent_us - allotted_us)

    def _allot(
        self, case: Case, stage: str, expected_us: int, budget: Budget, *, waits: bool = False
    ) -> int:
        wanted_us = _allotment_us(case.judge.workflow, stage)
        encode_us = in_microseconds(case.judge.workflow.stages.get("encode", _NONE))
        reserve_us = max(encode_us, case.reserve_us)
        now_us = self._now_us()
        if not waits:
            # It cannot be cut, so what counts is the time that is left, not its allotment.
            room_us = budget.allot(budget.total_us, expected_us, reserve_us, now_us)
            return min(room_us, wanted_us)
        # A busy machine wakes late, the more so the longer one has slept.
        share_us = budget.left_us(now_us) // _LATE_SHARE
        reserve_us += max(_LATE_US, share_us, self._lateness.p95_us)
        return budget.allot(wanted_us, expected_us, reserve_us, now_us)

    def _window(self, key: str) -> LatencyWindow:
        if key not in self._windows:
            self._windows[key] = LatencyWindow(lambda: self._now_us() / 1e6)
        return self._windows[key]


def deep_allotment_us(workflow: WorkflowPolicy) -> int:
    """Return what the policy gives the deep stage: the cloud is usable while inside it."""
    return _allotment_us(workflow, "deep")


def _allotment_us(workflow: WorkflowPolicy, stage: str) -> int:
    """Return a stage's allotment; one that the policy does not name may use the whole."""
    return in_microseconds(workflow.stages.get(stage, workflow.budget))


def _model_ref(model: ModelHolding, policy: Policy, setting: Setting) -> ArtifactRef:
    age = age_at(model.manifest.as_of, setting.at)
    return ArtifactRef(
        kind="model",
        name=model.manifest.name,
        version=model.manifest.version,
        digest=model.digest,
        freshness=policy.freshness["models"].judge(age),
        age=age,
    )


def _bundle_ref(bundle: FeatureBundle, policy: Policy, setting: Setting) -> ArtifactRef:
    age = age_at(bundle.manifest.as_of, setting.at)
    return ArtifactRef(
        kind="features",
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        digest=bundle.digest,
        freshness=policy.freshness["features"].judge(age),
        age=age,
    )
