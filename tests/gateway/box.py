"""An engine on a bench: real models, real bundles, a ring in a folder, a clock moved by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from gateway.admission import Admission
from gateway.decisions.deep import DeepAnswer, DeepFailedError, DeepQuestion, DeepTier, NoDeepTier
from gateway.decisions.engine import Clock, DecisionEngine
from gateway.decisions.holdings import Holdings
from gateway.decisions.recent_answers import RecentAnswers
from gateway.degrade import DegradeMonitor
from gateway.inference.onnx import OnnxRuntime
from gateway.inference.runtime import Runtime
from gateway.journal import JournalReader, JournalWriter
from gateway.metrics import ServingMetrics
from gateway.watch import Watch
from posgate.box.v1 import serving_pb2 as box_pb
from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import decision_from_pb
from terminal_client.core.basket import Basket
from terminal_client.core.decision import Decision, StageResult, WorkflowResult
from tests.gateway.baskets import request
from tests.gateway.bundles import NOW, STORE, Staged


class HandClock:
    """Wall time moved by hand; monotonic time is real, so that deadlines are."""

    def __init__(self) -> None:
        self.now = NOW
        self.skipped_s = 0.0

    def pass_by(self, span: timedelta) -> None:
        self.now += span
        self.skipped_s += span.total_seconds()

    def now_s(self) -> float:
        return time.monotonic() + self.skipped_s

    def now_us(self) -> int:
        return int(self.now_s() * 1e6)


Reply = Callable[[DeepQuestion], Awaitable[DeepAnswer]]


class ScriptedDeep:
    """A deep tier that does what the test says."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.questions: list[DeepQuestion] = []
        self.trouble = ""
        self.expected = 0

    async def ask(self, question: DeepQuestion, timeout_s: float) -> DeepAnswer:
        self.questions.append(question)
        try:
            async with asyncio.timeout(timeout_s):
                return await self.reply(question)
        except TimeoutError as exc:
            raise DeepFailedError("WAN_SLOW") from exc

    def usable(self, allotment_us: int) -> bool:
        return not self.trouble

    def why_not(self, allotment_us: int) -> str:
        return self.trouble

    def expected_us(self, model: str) -> int:
        return self.expected


@dataclass
class Box:
    engine: DecisionEngine
    holdings: Holdings
    degrade: DegradeMonitor
    admission: Admission
    watch: Watch
    clock: HandClock
    journal_path: Path
    staged: list[Staged] = field(default_factory=list)

    async def activate(self, *bundles: Staged) -> None:
        for staged in bundles:
            await self.holdings.stage(staged.kind, staged.digest, staged.path)
            await self.holdings.canary(staged.digest)
            self.holdings.flip(staged.digest)
        self.watch.look()

    async def raw(self, body: bytes, deadline: timedelta | None = None) -> pb.EvaluateResponse:
        answer = await self.engine.evaluate(body, deadline)
        return pb.EvaluateResponse.FromString(answer.response)

    async def decide(
        self, whole: Basket | None, *workflows: str, budget: timedelta | None = None
    ) -> Decision:
        timer = ControlTimer()
        async with timer.watching():
            response = await self.raw(request(whole, *workflows, budget=budget))
        decision = decision_from_pb(response)
        assert_inside_budget(decision, timer.late_us)
        return decision

    async def result(self, whole: Basket | None, workflow: str = "price_check") -> WorkflowResult:
        (result,) = (await self.decide(whole, workflow)).results
        return result

    def journal(self) -> list[box_pb.JournalRecord]:
        with JournalReader.open(self.journal_path) as reader:
            return list(reader.read(10_000).records)


def assert_inside_budget(decision: Decision, late_us: float = 0.0) -> None:
    spent_us = sum(stage.spent_us for stage in decision.ledger)
    budget_us = decision.budget / timedelta(microseconds=1)
    assert spent_us <= budget_us + late_us, f"{spent_us} of {budget_us}: {decision.ledger}"
    assert spent_us == decision.total / timedelta(microseconds=1)


class ControlTimer:
    """How late this very loop wakes: what a shared machine adds to any wait."""

    def __init__(self) -> None:
        self.late_us = 0.0

    async def run(self) -> None:
        while True:
            due_s = time.monotonic() + 0.001
            await asyncio.sleep(0.001)
            # Waking half a millisecond late is how timers are.
            self.late_us = max(self.late_us, (time.monotonic() - due_s) * 1e6 - 500)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        self.late_us = 0.0
        task = asyncio.create_task(self.run())
        await asyncio.sleep(0)
        try:
            yield
            # A stall that ends the call is seen by the timer one turn later.
            await asyncio.sleep(0.001)
        finally:
            task.cancel()


def stage(decision: Decision, name: str, workflow: str = "price_check") -> StageResult | None:
    found = [s.result for s in decision.ledger if (s.stage, s.workflow) == (name, workflow)]
    assert len(found) <= 1
    return found[0] if found else None


@asynccontextmanager
async def box(
    folder: Path, *, runtime: Runtime | None = None, deep: DeepTier | None = None
) -> AsyncIterator[Box]:
    """Open an engine; nothing is loaded."""
    clock = HandClock()
    tier = deep or NoDeepTier()
    metrics = ServingMetrics(CollectorRegistry())
    holdings = Holdings(runtime or OnnxRuntime())
    degrade = DegradeMonitor(clock.now_s)
    admission = Admission(4, 64, clock.now_s)
    path = folder / "journal"
    with JournalWriter.open(path, 1 << 20, "epoch") as journal:
        async with asyncio.TaskGroup() as tasks:
            engine = DecisionEngine(
                store_id=STORE,
                epoch="epoch",
                clock=Clock(now=lambda: clock.now, now_us=clock.now_us),
                holdings=holdings,
                deep=tier,
                admission=admission,
                degrade=degrade,
                answers=RecentAnswers(timedelta(hours=24), 1 << 20, lambda: clock.now),
                journal=journal,
                metrics=metrics,
                tasks=tasks,
            )
            watch = Watch(
                holdings=holdings,
                deep=tier,
                degrade=degrade,
                admission=admission,
                metrics=metrics,
                journal_used=lambda: journal.used_share,
                ready=lambda: True,
                now_s=clock.now_s,
            )
            try:
                yield Box(engine, holdings, degrade, admission, watch, clock, path)
            finally:
                engine.close()


def at_midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0)
