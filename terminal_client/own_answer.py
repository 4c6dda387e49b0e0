"""The terminal's own answer: the rules tier, computed beside the lane's wait.

Runs in a few threads of its own, so that a basket that takes long to judge cannot hold the lane
past its deadline. What is not ready then, or cannot be known without a bundle, is an APPROVE
with a coded reason: a machine's trouble never blocks a sale.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

from terminal_client.core.decision import (
    RECOMMENDATION_KIND,
    ArtifactRef,
    Decision,
    Reason,
    Verdict,
    WorkflowResult,
    highest,
    projection,
)
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.modes import Mode, Tier
from terminal_client.core.redemptions import RedemptionView
from terminal_client.question import Question

logger = logging.getLogger(__name__)

_THREADS = 4
# Microseconds of rules per line, before the first basket and at most.
_FIRST_GUESS_US = 150.0
_SLOWEST_US = 2_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAnswer:
    """What this terminal says by itself. ``digest`` is empty when no rules were read.

    ``rules_only`` are the workflows that no model may decide.
    """

    results: tuple[WorkflowResult, ...]
    verdict: Verdict
    artifacts: tuple[ArtifactRef, ...] = ()
    digest: str = ""
    rules_only: frozenset[str] = frozenset()
    spent_us: int = 0


class OwnDecider:
    """``bundle`` and ``view`` return what is in force when a question is asked."""

    def __init__(
        self,
        bundle: Callable[[Question], FallbackBundle | None],
        view: Callable[[], RedemptionView],
    ) -> None:
        self._bundle = bundle
        self._view = view
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="posgate-rules")
        self._us_per_line = _FIRST_GUESS_US
        # Started now: starting a thread waits until it runs, and no lane should.
        together = Barrier(_THREADS)
        for started in [self._threads.submit(together.wait) for _ in range(_THREADS)]:
            started.result()

    def start(self, question: Question) -> Future[OwnAnswer]:
        """Begin to answer ``question``."""
        return self._threads.submit(self._answer, question)

    def at_once(self, question: Question, longest_s: float) -> OwnAnswer | None:
        """Answer in the caller's thread; None when that is likely to take over ``longest_s``."""
        lines = len(question.basket.lines) if question.basket else 0
        if (lines + 1) * self._us_per_line > longest_s * 1e6:
            return None
        return self._answer(question)

    def close(self) -> None:
        """Drop what has not begun. May be called twice."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answer(self, question: Question) -> OwnAnswer:
        began = time.perf_counter_ns()
        bundle = self._bundle(question)
        if bundle is None:
            return unavailable(question.workflows, "RULES_UNAVAILABLE")
        results = bundle.decide(question.basket, question.workflows, question.at, self._view())
        spent_us = (time.perf_counter_ns() - began) // 1000
        lines = len(question.basket.lines) if question.basket else 0
        # Half of the newest and half of what was: quick to learn a new bundle, slow to panic.
        self._us_per_line = (self._us_per_line + min(spent_us / (lines + 1), _SLOWEST_US)) / 2
        return OwnAnswer(
            results=results,
            verdict=_verdict(results, bundle),
            artifacts=(bundle.artifact(question.at),),
            digest=bundle.digest,
            rules_only=frozenset(
                name
                for name, workflow in bundle.policy.workflows.items()
                if workflow.tiers == {Tier.RULES}
            ),
            spent_us=spent_us,
        )


def result_within(
    answer: Future[OwnAnswer], question: Question, timeout_s: float
) -> OwnAnswer | None:
    """Return the answer, or None when it is not ready after ``timeout_s``."""
    try:
        return answer.result(max(timeout_s, 0.0))
    except TimeoutError:
        return None
    # The rules tier promises not to raise; the lane does not stake its answer on that.
    except Exception:
        logger.exception("the rules tier failed; the basket is approved with RULE_ERROR")
        return unavailable(question.workflows, "RULE_ERROR")


def unavailable(workflows: Iterable[str], code: str) -> OwnAnswer:
    """Return APPROVE for every workflow, with the reason ``code``."""
    reasons = (Reason(code=code),)
    results = tuple(WorkflowResult(workflow=name, reasons=reasons) for name in workflows)
    return OwnAnswer(results=results, verdict=Verdict.APPROVE)


def last_resort(workflows: object) -> Decision:
    """Return an APPROVE that needs nothing at all; never raises."""
    listed = (workflows,) if isinstance(workflows, str) else workflows
    names = listed if isinstance(listed, list | tuple) else ()
    answer = unavailable([name for name in names if isinstance(name, str)], "RULES_UNAVAILABLE")
    return Decision(
        request_id="",
        decision_id="",
        results=answer.results,
        verdict=answer.verdict,
        notices=(Reason(code="RULE_ERROR", detail="the terminal's own fault; see its log"),),
    )


def agreement(own: OwnAnswer, gateways: Decision) -> bool | None:
    """Tell whether both answers are equal where both come from the same rules.

    Compared are workflows that no model may decide, and every workflow decided in emergency:
    elsewhere a model's word, or the reason why it had none, is part of the gateway's answer.
    None: nothing can be compared.
    """
    digests = {artifact.digest for artifact in gateways.artifacts if artifact.kind == "rules"}
    if not own.digest or own.digest not in digests:
        return None
    pairs = [
        (mine, theirs)
        for mine, theirs in zip(own.results, gateways.results, strict=True)
        if theirs.mode is Mode.EMERGENCY or mine.workflow in own.rules_only
    ]
    if not pairs:
        return None
    return all(projection(mine) == projection(theirs) for mine, theirs in pairs)


def _verdict(results: tuple[WorkflowResult, ...], bundle: FallbackBundle) -> Verdict:
    known = bundle.policy.workflows
    return highest(
        result.verdict
        for result in results
        if result.workflow not in known or known[result.workflow].kind != RECOMMENDATION_KIND
    )
