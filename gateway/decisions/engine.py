"""From a request's bytes to the answer's bytes: total, idempotent, inside the budget.

The rules answer first, so that from then on there is an answer whatever a model, the cloud
or the clock does; models then improve on it as far as budget, mode and policy allow.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from google.protobuf.message import DecodeError

from gateway.admission import Admission, highest_priority
from gateway.decisions.answering import Parts, answer, choose, record, without_rules
from gateway.decisions.arrivals import ObservedArrivals
from gateway.decisions.deep import DeepTier
from gateway.decisions.holdings import Holdings
from gateway.decisions.large_baskets import LARGE_BYTES, LargeBaskets
from gateway.decisions.latency import LatencyWindow
from gateway.decisions.pipeline import Case, Pipeline
from gateway.decisions.recent_answers import BodyChangedError, RecentAnswers, StoredAnswer
from gateway.decisions.run import Run
from gateway.decisions.setting import Setting
from gateway.degrade import DegradeMonitor
from gateway.features.store_log import StoreLog
from gateway.metrics import ServingMetrics
from posgate.box.v1 import serving_pb2 as box_pb
from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import DecodedRequest, RequestError, decode_request
from terminal_client.core.budget import Budget, call_budget, in_microseconds
from terminal_client.core.decision import Reason, StageResult
from terminal_client.core.modes import Mode, Tier
from terminal_client.core.policy import Policy, WorkflowPolicy
from terminal_client.core.redemptions import RedemptionView
from terminal_client.core.store_time import time_of_record

logger = logging.getLogger(__name__)

_MOST_LATER = 64
_DEFECT_EVERY_S = 60.0
"""A defect is written down with its trace once a minute, not once a call."""
_LONGEST = timedelta(seconds=60)
_ADMISSION_US = 1000
_TAIL_US_PER_KIB = 120
"""A first guess at reading back and encoding, until it has been measured."""


class DeadlineError(Exception):
    """The caller's deadline had passed on arrival, or while it waited for its twin."""


class OverloadedError(Exception):
    """Too many large baskets wait already: reading one more cannot be afforded."""


class Journal(Protocol):
    """Where decisions go; never waits."""

    def append(self, record: box_pb.JournalRecord) -> bool:
        """Append; False: lost and counted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The times the engine sees: aware UTC, and monotonic microseconds."""

    now: Callable[[], datetime]
    now_us: Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer's bytes; ``replayed``: they were stored and are given again."""

    response: bytes
    replayed: bool


class DecisionEngine:
    """Decides; everything it needs comes as an argument."""

    def __init__(
        self,
        *,
        store_id: str,
        epoch: str,
        clock: Clock,
        holdings: Holdings,
        deep: DeepTier,
        admission: Admission,
        degrade: DegradeMonitor,
        answers: RecentAnswers,
        journal: Journal,
        metrics: ServingMetrics,
        tasks: asyncio.TaskGroup,
    ) -> None:
        """``tasks`` runs what is answered later; it ends with whoever opened it."""
        self.holdings = holdings
        self.answers = answers
        self.redemptions = RedemptionView()
        self.log = StoreLog()
        self._store_id = store_id
        self._epoch = epoch
        self._clock = clock
        self._admission = admission
        self._degrade = degrade
        self._journal = journal
        self._metrics = metrics
        self._tasks = tasks
        self._pipeline = Pipeline(holdings, deep, clock.now_us)
        self._large = LargeBaskets()
        self._arrivals = ObservedArrivals()
        self._tail = LatencyWindow(lambda: clock.now_us() / 1e6)
        self._rules_time = LatencyWindow(lambda: clock.now_us() / 1e6)
        self._defect_s = float("-inf")
        self._decision_count = 0
        self._later_count = 0

    async def evaluate(self, raw: bytes, deadline: timedelta | None) -> Answer:
        """Answer one request.

        Args:
            raw: a serialized ``EvaluateRequest``.
            deadline: what is left of the caller's; None: it set none.

        Raises:
            RequestError: the request is malformed, or its id was used with another body.
            DeadlineError: the deadline has passed.
            OverloadedError: it is large, and too many of those wait.
        """
        arrived_us = self._clock.now_us()
        if deadline is not None and deadline <= timedelta(0):
            raise DeadlineError
        sha256 = hashlib.sha256(raw).digest()
        message = _parsed(raw)
        stored = await self._stored(message.request_id, sha256, deadline)
        if stored is not None:
            self._metrics.replayed.inc()
            return Answer(response=stored.response, replayed=True)
        self.answers.begin(message.request_id, sha256)
        try:
            request = await self._read(message, len(raw), deadline)
            self._metrics.card_numbers.inc(request.redacted_count)
            response = await self._decide(request, raw, sha256, deadline, arrived_us)
            return Answer(response=response, replayed=False)
        finally:
            self.answers.drop(message.request_id)

    def decision(self, decision_id: str) -> bytes | None:
        """Return a decision as it stands now, serialized; None: unknown or not kept."""
        return self.answers.decision(decision_id)

    def close(self) -> None:
        """Let go of the thread for large baskets; harmless when repeated."""
        self._large.close()

    async def _stored(
        self, request_id: str, sha256: bytes, deadline: timedelta | None
    ) -> StoredAnswer | None:
        """Return the stored answer, after waiting for the same request in flight."""
        try:
            while True:
                stored = self.answers.find(request_id, sha256)
                twin = self.answers.computing(request_id, sha256)
                if stored is not None or twin is None:
                    return stored
                longest_s = None if deadline is None else deadline.total_seconds()
                done, _ = await asyncio.wait([twin], timeout=longest_s)
                if not done:
                    raise DeadlineError
                if not twin.cancelled():
                    return twin.result()
        except BodyChangedError as exc:
            raise RequestError(
                "request_id", "was used with another body", "use an id only once"
            ) from exc

    async def _read(
        self, message: pb.EvaluateRequest, size_bytes: int, deadline: timedelta | None
    ) -> DecodedRequest:
        if size_bytes <= LARGE_BYTES:
            return decode_request(message)
        if self._large.crowded:
            # Nothing may be said or kept of lines nobody has read: the register decides.
            self._metrics.shed.inc()
            raise OverloadedError
        longest_s = (deadline or _LONGEST).total_seconds()
        try:
            return await self._large.run(longest_s, decode_request, message)
        except TimeoutError as exc:
            raise DeadlineError from exc

    async def _decide(
        self,
        request: DecodedRequest,
        raw: bytes,
        sha256: bytes,
        deadline: timedelta | None,
        arrived_us: int,
    ) -> bytes:
        now = self._clock.now()
        choice = choose(request.basket, self.holdings, self._degrade.mode, now)
        if choice is None:
            return self._without_rules(request, raw, sha256, deadline, arrived_us)
        workflows = _known(request.workflows, choice.bundle.policy)
        waited_for = [workflow for workflow in workflows if workflow.interactive] or workflows
        totals = [workflow.budget for workflow in waited_for]
        total = call_budget(deadline, request.budget, totals) or _LONGEST
        policy_us = in_microseconds(min(totals, default=_LONGEST))
        run = Run(
            request=request,
            request_sha256=sha256,
            raw=raw,
            choice=choice,
            budget=Budget(in_microseconds(total), arrived_us),
            at=time_of_record(request.basket, now),
            now=now,
            decision_id=self._next_id(),
            workflows=tuple(workflows),
            notices=list(choice.notices),
        )
        ticket = self._admission.enter(highest_priority([w.priority for w in waited_for]))
        run.admitted = ticket.admitted
        try:
            # Whoever arrived in the same turn of the loop is counted before work begins.
            await asyncio.sleep(0)
            run.budget.mark("admission", self._clock.now_us(), _ADMISSION_US)
            await self._rules(run)
            await self._models(run)
            return await self._finish(run)
        finally:
            own_us = self._clock.now_us() - arrived_us - run.waited_us
            self._admission.leave(ticket, own_us, run.budget.total_us, policy_us)

    async def _rules(self, run: Run) -> None:
        """Let the rules answer; only a large basket, or a budget of a few ms, can fail."""
        budget, bundle, request = run.budget, run.choice.bundle, run.request
        large = len(run.raw) > LARGE_BYTES
        allotted_us = budget.allot(
            budget.total_us,
            0 if large else self._rules_time.p95_us,
            self._reserve_us(run),
            self._clock.now_us(),
        )
        if not allotted_us or (large and self._large.crowded):
            budget.skip("rules", StageResult.SKIPPED_NO_TIME)
            return
        names = [workflow.name for workflow in run.workflows]
        asked = (request.basket, names, run.at, self.redemptions)
        result = StageResult.RAN
        try:
            if large:
                run.rules = await self._large.run(allotted_us / 1e6, bundle.decide, *asked)
            else:
                run.rules = bundle.decide(*asked)
        except TimeoutError:
            result = StageResult.CUT
        spent_us = budget.mark("rules", self._clock.now_us(), allotted_us, result)
        if not large:
            self._rules_time.add(spent_us)
        run.artifacts.append(bundle.artifact(run.at))

    async def _models(self, run: Run) -> None:
        """Let models improve on what is waited for; the rest is answered later."""
        basket = run.request.basket
        if not run.admitted:
            self._metrics.shed.inc()
            run.shed()
        elif basket is not None and run.rules is not None:
            self._arrivals.see(basket, run.at)
            bundle = run.choice.bundle
            setting = Setting(
                basket=basket,
                at=run.at,
                local=bundle.zone.local(run.at),
                bundle=bundle,
                active=self.holdings.active,
                log=self.log,
                store_id=self._store_id,
            )
            run.open_cases(setting, self._degrade, run.rules)
            cases = run.asked_now()
            if cases:
                await self._improve(run, cases, run.budget, self._reserve_us(run))
                run.waited_us = max(case.waited_us for case in cases)

    async def _improve(self, run: Run, cases: list[Case], budget: Budget, reserve_us: int) -> None:
        """Run the model stages; a defect in them leaves the rules' answer standing."""
        if run.setting is None:
            return
        try:
            run.artifacts += await self._pipeline.run(cases, run.setting, budget, reserve_us)
        except Exception:
            for case in cases:
                case.judge.missed("MODEL_UNAVAILABLE")
            if self._first_defect():
                logger.exception("a model stage failed; the rules answered")

    def _first_defect(self) -> bool:
        """Count a defect; tell whether it is the first one lately, to be written down."""
        self._metrics.defects.inc()
        now_s = self._clock.now_us() / 1e6
        if now_s - self._defect_s <= _DEFECT_EVERY_S:
            return False
        self._defect_s = now_s
        return True

    async def _finish(self, run: Run) -> bytes:
        """Put the answer together, store it, write it down, count it."""
        later = run.asked_later() if self._later_count < _MOST_LATER else []
        pending = frozenset(case.judge.workflow.name for case in later)
        begun_us = self._clock.now_us()
        parts = self._parts(run, pending)
        if len(run.raw) > LARGE_BYTES:
            response = await asyncio.to_thread(
                answer, parts, run.budget, run.now, self._clock.now_us
            )
        else:
            response = answer(parts, run.budget, run.now, self._clock.now_us)
            self._tail.add(self._clock.now_us() - begun_us)
        self._keep(run.request, run.request_sha256, response, run.decision_id, run.now)
        kept = record(run.request, run.raw, run.request_sha256, response, run.scored(), run.now)
        self._write(kept)
        self._count(run, parts)
        if later:
            self._later_count += 1
            self._tasks.create_task(self._later(run))
        return response

    async def _later(self, run: Run) -> None:
        """Answer what was pending; GetDecision finds it, after a restart too.

        Never raises: a task that did would end every lane's calls with the group.
        """
        try:
            cases = run.asked_later()
            total = max(case.judge.workflow.budget for case in cases)
            budget = Budget(in_microseconds(total), self._clock.now_us())
            await self._improve(run, cases, budget, 0)
            moved = answer(self._parts(run, frozenset()), budget, run.now, self._clock.now_us)
            self.answers.advance(run.decision_id, moved)
            # A second record of the same decision: control lets it supersede the first.
            self._write(
                record(run.request, run.raw, run.request_sha256, moved, run.scored(), run.now)
            )
        except Exception:
            if self._first_defect():
                logger.exception("a pending decision stays as it was")
        finally:
            self._later_count -= 1

    def _parts(self, run: Run, pending: frozenset[str]) -> Parts:
        notices = list(run.notices)
        if run.request.redacted_count:
            notices.append(Reason(code="CARD_NUMBER_REDACTED"))
        artifacts = {artifact.digest: artifact for artifact in run.artifacts}
        return Parts(
            request=run.request,
            decision_id=run.decision_id,
            results=run.results(self._degrade, self._arrivals, pending),
            mode=run.choice.mode(self._degrade.mode),
            bundle=run.choice.bundle,
            artifacts=tuple(artifacts.values()),
            notices=tuple(notices),
            pin=b"" if run.request.basket is None else run.choice.pin.encode(),
        )

    def _without_rules(
        self,
        request: DecodedRequest,
        raw: bytes,
        sha256: bytes,
        deadline: timedelta | None,
        arrived_us: int,
    ) -> bytes:
        total = call_budget(deadline, request.budget, [_LONGEST]) or _LONGEST
        now, decision_id = self._clock.now(), self._next_id()
        parts = Parts(
            request=request,
            decision_id=decision_id,
            results=without_rules(request.workflows),
            mode=Mode.EMERGENCY,
            bundle=None,
        )
        budget = Budget(in_microseconds(total), arrived_us)
        response = answer(parts, budget, now, self._clock.now_us)
        self._keep(request, sha256, response, decision_id, now)
        self._write(record(request, raw, sha256, response, [], now))
        return response

    def _keep(
        self,
        request: DecodedRequest,
        sha256: bytes,
        response: bytes,
        decision_id: str,
        now: datetime,
    ) -> None:
        self.answers.finish(
            StoredAnswer(
                request_id=request.request_id,
                request_sha256=sha256,
                response=response,
                decision_id=decision_id,
                decided=now,
            )
        )

    def _write(self, kept: box_pb.JournalRecord) -> None:
        if not self._journal.append(kept):
            self._metrics.journal_lost.inc()

    def _count(self, run: Run, parts: Parts) -> None:
        known = {workflow.name for workflow in run.workflows}
        for result in parts.results:
            # A name that somebody made up is no label.
            if result.workflow not in known:
                continue
            self._metrics.decided(result, run.budget.spent_us)
            case = run.cases.get(result.workflow)
            if case is not None and result.tier is Tier.RULES and case.judge.missed_reason:
                self._metrics.fell_back(case.judge.missed_reason)
        for spend in run.budget.ledger:
            self._metrics.spent(spend)

    def _reserve_us(self, run: Run) -> int:
        """Return what putting the answer together will take."""
        size_kib = len(run.raw) // 1024 + 1
        guess_us = _TAIL_US_PER_KIB * size_kib
        return max(guess_us, self._tail.p95_us)

    def _next_id(self) -> str:
        self._decision_count += 1
        return f"{self._store_id}-{self._epoch}-{self._decision_count}"


def _parsed(raw: bytes) -> pb.EvaluateRequest:
    try:
        return pb.EvaluateRequest.FromString(raw)
    except DecodeError as exc:
        raise RequestError("request", "is no EvaluateRequest", "send posgate.v1") from exc


def _known(names: tuple[str, ...], policy: Policy) -> list[WorkflowPolicy]:
    return [policy.workflows[name] for name in names if name in policy.workflows]
