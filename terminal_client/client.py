"""The client a register's program holds: it asks, and it always has an answer.

``evaluate`` sends the basket to the first gateway that is worth asking and meanwhile computes
the terminal's own answer from the same signed rules. At its deadline it returns what is ready.
Nothing that a network, a gateway or TLS does is raised; it is a notice in the answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from terminal_client.channel import GatewayLink, Reply
from terminal_client.config import TerminalConfig
from terminal_client.core.basket import Basket, TransactionRef
from terminal_client.core.decision import Decision
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.redemptions import RedemptionView
from terminal_client.fallback_reason import FallbackReason
from terminal_client.local_record import LocalRecords
from terminal_client.outcomes import ReviewOutcome, SaleOutcome, redemptions_of, report_to_pb
from terminal_client.own_answer import (
    OwnAnswer,
    OwnDecider,
    agreement,
    last_resort,
    result_within,
    unavailable,
)
from terminal_client.pins import BasketPins
from terminal_client.question import Question, basket_key, prepare
from terminal_client.request_ids import new_request_id
from terminal_client.state import TerminalState
from terminal_client.status import LaneTally, TerminalStatus, snapshot
from terminal_client.upkeep import LaneCounts, Upkeep
from terminal_client.uploader import Uploader

logger = logging.getLogger(__name__)

_LONGEST_BUDGET = timedelta(seconds=60)
_OUTCOME_WAIT = timedelta(milliseconds=50)
# What is kept back from the gateway's time, to write the own answer down and return it.
_RESERVE_SHARE = 0.3
_SHORTEST_RESERVE_S = 0.008
_LONGEST_RESERVE_S = 0.030
# The rules' answer a little late is worth more than a punctual shrug.
_GRACE_S = 0.008
# So does a disk that is nearly done: what the lane acts on is worth having on it.
_DISK_GRACE_S = 0.005
# These leave no time, or no sense, to ask another gateway.
_FINAL = (FallbackReason.TIMEOUT,)


def _now() -> datetime:
    return datetime.now(UTC)


class TerminalClient(AbstractContextManager["TerminalClient"]):
    """Thread-safe: one client serves all lanes of a process. Open it with ``open``."""

    def __init__(
        self,
        config: TerminalConfig,
        state: TerminalState,
        links: Sequence[GatewayLink],
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._state = state
        self._links = tuple(links)
        self._clock = clock
        self._tally = LaneTally()
        self._pins = BasketPins()
        self._own_view = RedemptionView()
        self._decider = OwnDecider(self._bundle, self._view)
        self._records = LocalRecords(config.workstation_id, state.spool)
        spool = state.spool
        self._uploader = (
            None if spool is None else Uploader(config.workstation_id, spool, state.ledger)
        )
        self._upkeep = Upkeep(
            config.upkeep,
            config.workstation_id,
            self._links,
            self._uploader,
            state.cache,
            state.ledger,
            self._lane_counts,
            clock,
        )

    @classmethod
    def open(cls, config: TerminalConfig, clock: Callable[[], datetime] = _now) -> Self:
        """Open the client: reads the state folder and connects in the background.

        Needs no gateway. ``clock`` returns aware UTC.

        Raises:
            ConfigError: a value is out of range, or a certificate or the pinned root cannot
                be used.
            StateError: another client uses the state folder.
        """
        config.check()
        links: list[GatewayLink] = []
        state: TerminalState | None = None
        try:
            links += (GatewayLink(box, config, time.monotonic) for box in config.gateways)
            state = TerminalState.open(config)
            client = cls(config, state, links, clock)
        except BaseException:
            for link in links:
                link.close()
            if state is not None:
                state.close()
            raise
        client._upkeep.start()
        return client

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits and let go of everything. May be called twice."""
        self._upkeep.close()
        self._decider.close()
        for link in self._links:
            link.close()
        self._state.close()

    def evaluate(
        self,
        basket: Basket | None,
        workflows: Sequence[str],
        *,
        budget: timedelta | None = None,
    ) -> Decision:
        """Return the decision on ``basket``: one result per workflow, in order.

        Returns within ``budget`` (default: the configuration's; at most 60 s) and never raises.
        A decision of the terminal itself has ``Place.TERMINAL`` and a notice ``GATEWAY_...``
        that says why. A workflow the rules do not name is approved with WORKFLOW_UNKNOWN, every
        workflow with RULES_UNAVAILABLE while there is no bundle. What is no basket, or breaks
        the contract, is not sent: the notice INVALID_REQUEST says which field.

        Asking changes nothing: report how the sale ended with ``report_outcome``.
        """
        began = time.monotonic()
        try:
            return self._evaluate(basket, workflows, budget, began)
        # The lane's outermost edge: a fault of this client must not stop a sale.
        except Exception:
            logger.exception("evaluate failed; every workflow is approved")
            self._tally.failed()
            return last_resort(workflows)

    def report_outcome(
        self,
        transaction: TransactionRef,
        outcome: SaleOutcome | ReviewOutcome,
        *,
        decision_id: str = "",
        event_time: datetime | None = None,
        wait: timedelta = _OUTCOME_WAIT,
    ) -> bool:
        """Report what became known; it is sent when a gateway can take it.

        Coupons that a completed sale used up count on this terminal at once. Returns True once
        the report is on disk, False when it is not after ``wait`` or cannot be written down
        (an ERROR in the log says why). Never raises for a disk, a network or a gateway.
        """
        try:
            report = report_to_pb(
                new_request_id(), decision_id, transaction, event_time or self._clock(), outcome
            )
        except (AttributeError, TypeError, ValueError) as error:
            logger.error("an outcome cannot be written down: %s", error)
            return False
        if self._state.ledger is not None:
            self._state.ledger.note_own(report.request_id, redemptions_of(report))
        if self._state.spool is None:
            return False
        receipt = self._state.spool.append_outcome(report.SerializeToString())
        self._upkeep.wake()
        return receipt.wait(wait.total_seconds())

    def status(self) -> TerminalStatus:
        """Return how the terminal is."""
        return snapshot(
            self._state, self._links, self._tally, self._uploader, self._upkeep, self._clock()
        )

    def _evaluate(
        self,
        basket: Basket | None,
        workflows: Sequence[str],
        budget: timedelta | None,
        began: float,
    ) -> Decision:
        allowed = self._config.default_budget if budget is None else min(budget, _LONGEST_BUDGET)
        deadline = began + allowed.total_seconds()
        pin = self._pins.of(basket_key(basket)) if isinstance(basket, Basket) else b""
        question = prepare(basket, workflows, allowed, pin, self._clock())
        own = self._decider.start(question)
        answer_by = deadline - self._reserve_s(allowed.total_seconds())
        reply = self._ask(question, answer_by)
        if reply.decision is not None:
            decision = replace(reply.decision, notices=reply.decision.notices + question.notices)
            self._tally.gateway_answered()
            self._compare(own, decision)
        else:
            decision = self._decide(question, own, reply, began, deadline)
        self._pins.keep(question.basket_key, decision.basket_pin)
        return decision

    def _ask(self, question: Question, answer_by: float) -> Reply:
        """Ask one gateway after the other; return the answer, or the last reason."""
        last = Reply(reason=FallbackReason.BREAKER_OPEN)
        if not question.sendable or question.message is None:
            return replace(last, reason=FallbackReason.ERROR, detail="not sent")
        payload = question.message.SerializeToString()
        for link in self._links:
            remaining_s = answer_by - time.monotonic()
            reply = link.ask(payload, question.read, question.basket_key, remaining_s)
            if reply.decision is not None or reply.asked_badly or reply.reason in _FINAL:
                return reply
            if reply.reason is not FallbackReason.BREAKER_OPEN:
                last = reply
        return last

    def _decide(
        self,
        question: Question,
        own: Future[OwnAnswer],
        reply: Reply,
        began: float,
        deadline: float,
    ) -> Decision:
        reserve_s = self._reserve_s(question.budget.total_seconds()) / 2
        answer = result_within(own, question, deadline - reserve_s - time.monotonic())
        if answer is None:
            # The machine stood still, or the basket is huge. Where the rules need a few
            # milliseconds they get them; where they need more, the sale goes on without them.
            own.cancel()
            answer = self._decider.at_once(question, _GRACE_S)
        if answer is None:
            answer = unavailable(question.workflows, "BUDGET_EXHAUSTED")
        reason = reply.reason or FallbackReason.ERROR
        self._tally.answered_alone(reason)
        decision = self._records.record(
            question, answer, reason, reply.detail, self._clock(), began, deadline + _DISK_GRACE_S
        )
        self._upkeep.wake()
        return decision

    def _compare(self, own: Future[OwnAnswer], decision: Decision) -> None:
        def compare(answered: Future[OwnAnswer]) -> None:
            if not answered.cancelled() and answered.exception() is None:
                agreed = agreement(answered.result(), decision)
                if agreed is not None:
                    self._tally.compared(agreed=agreed)

        # What has not begun is not worth beginning now.
        if not own.cancel():
            own.add_done_callback(compare)

    def _reserve_s(self, budget_s: float) -> float:
        spool = self._state.spool
        wanted_s = 0.003 + 2 * (spool.usual_commit_s if spool else 0.0)
        bounded_s = min(max(wanted_s, _SHORTEST_RESERVE_S), _LONGEST_RESERVE_S)
        return min(bounded_s, budget_s * _RESERVE_SHARE)

    def _bundle(self, question: Question) -> FallbackBundle | None:
        pin = question.basket.basket_pin if question.basket else b""
        return self._state.cache.for_pin(pin, self._clock())

    def _view(self) -> RedemptionView:
        ledger = self._state.ledger
        return self._own_view if ledger is None else ledger.view

    def _lane_counts(self) -> LaneCounts:
        _, own, compared, agreed, _ = self._tally.snapshot()
        spool = self._state.spool
        return LaneCounts(
            spooled=spool.counts.waiting if spool else 0,
            fallback=sum(own.values()),
            compared=compared,
            agreed=agreed,
        )
