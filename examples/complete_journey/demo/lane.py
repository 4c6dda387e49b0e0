"""One register of the demo, a process of its own around a ``TerminalClient``.

Reads orders as JSON lines and answers each with one: ``play`` rings up a receipt, ``settle``
waits until everything is uploaded, ``close`` ends. What every call was like goes to a file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from examples.complete_journey.demo.control_timer import ControlTimer, starved_s
from examples.complete_journey.demo.receipts import Receipt, as_basket, receipts
from examples.complete_journey.demo.records import (
    CallRecord,
    CouponVerdict,
    LineOutcome,
    StageEntry,
    call_line,
)
from examples.complete_journey.replay import read_replay
from terminal_client.client import TerminalClient
from terminal_client.config_file import load_config
from terminal_client.core.basket import Basket
from terminal_client.core.decision import Decision, OfferResult, Place, WorkflowResult
from terminal_client.outcomes import SaleEnd, SaleOutcome
from terminal_client.status import TerminalStatus

BUDGET = timedelta(milliseconds=150)
SCANNING = ("price_check", "recommendation")
PAYING = (
    "promotion_validation",
    "price_check",
    "transaction_scoring",
    "recommendation",
    "basket_validation",
    "age_check",
)
_MS = timedelta(milliseconds=1)
_FEWEST_LINES_TO_PAUSE = 4
_LONGEST_SETTLE_S = 30.0
# Long enough for the control timer to have woken once more.
_TIMER_SETTLES_S = 0.006


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the driver had done to the store when a call was made."""

    wan_up: bool
    gateway_up: bool


class Lane:
    """Rings up receipts and writes down what every call was like."""

    def __init__(
        self, name: str, client: TerminalClient, timer: ControlTimer, calls: Path, kind: str
    ) -> None:
        self._name = name
        self._client = client
        self._timer = timer
        self._receipts = receipts(read_replay("folded" if kind == "folded" else "calendar"))
        self._calls = calls.open("w", encoding="utf-8")

    def play(self, index: int, world: World, expected: tuple[CouponVerdict, ...]) -> dict[str, Any]:
        """Ring up one receipt: a look while scanning, the whole basket, and its payment."""
        receipt = self._receipts[index]
        if _pauses(receipt):
            self._call(
                receipt,
                as_basket(receipt, self._name, len(receipt.basket.lines) // 2),
                SCANNING,
                world,
            )
        basket = as_basket(receipt, self._name)
        decision = self._call(receipt, basket, PAYING, world, expected)
        keys = redemption_keys(decision)
        reported = self._client.report_outcome(
            basket.transaction,
            SaleOutcome(
                end=SaleEnd.COMPLETED,
                final_basket_revision=basket.basket_revision,
                redemption_keys=keys,
            ),
            decision_id=decision.decision_id,
            event_time=basket.evaluation_time,
        )
        return {"played": index, "reported": reported}

    def settle(self) -> dict[str, Any]:
        """Wait until everything is uploaded; say how the terminal is."""
        until = time.monotonic() + _LONGEST_SETTLE_S
        status = self._client.status()
        while _unsent_bytes(status) and time.monotonic() < until:
            time.sleep(0.02)
            status = self._client.status()
        return {
            "settled": not _unsent_bytes(status),
            "compared": status.compared,
            "agreed": status.agreed,
            "failures": status.failures,
            "rules": status.bundle.version if status.bundle else "",
        }

    def close(self) -> None:
        """Close the file of calls."""
        self._calls.close()

    def _call(
        self,
        receipt: Receipt,
        basket: Basket,
        workflows: tuple[str, ...],
        world: World,
        expected: tuple[CouponVerdict, ...] | None = None,
    ) -> Decision:
        starved_before_s = starved_s()
        began_s = time.monotonic()
        decision = self._client.evaluate(basket, workflows, budget=BUDGET)
        ended_s = time.monotonic()
        starved_ms = (starved_s() - starved_before_s) * 1000
        time.sleep(_TIMER_SETTLES_S)
        call = CallRecord(
            **describe(receipt, decision, world, final=expected is not None),
            lane=self._name,
            took_ms=(ended_s - began_s) * 1000,
            timer_late_ms=max(
                self._timer.late_ms(began_s + BUDGET.total_seconds(), ended_s), starved_ms
            ),
            coupons_expected=expected or (),
        )
        self._calls.write(call_line(call) + "\n")
        return decision


def planned_calls(replay: Iterable[Receipt]) -> int:
    """Return how many calls the lanes make for these receipts."""
    return sum(2 if _pauses(receipt) else 1 for receipt in replay)


def _pauses(receipt: Receipt) -> bool:
    return len(receipt.basket.lines) >= _FEWEST_LINES_TO_PAUSE


def redemption_keys(decision: Decision) -> tuple[str, ...]:
    """Return what completing the sale uses up."""
    return tuple(offer.redemption_key for offer in _offers(decision) if offer.redemption_key)


def coupon_verdicts(offers: Iterable[OfferResult]) -> tuple[CouponVerdict, ...]:
    """Return status and first reason of every coupon, in order."""
    return tuple(
        CouponVerdict(
            offer.coupon_ref, offer.status.name, offer.reasons[0].code if offer.reasons else ""
        )
        for offer in offers
        if offer.coupon_ref
    )


def _unsent_bytes(status: TerminalStatus) -> int:
    spool = status.spool
    return 0 if spool is None else spool.waiting_bytes + spool.outcome_bytes


def describe(receipt: Receipt, decision: Decision, world: World, *, final: bool) -> dict[str, Any]:
    """Return what an answer says, as fields of a ``CallRecord``."""
    alone = all(result.place is Place.TERMINAL for result in decision.results)
    own = [
        notice.code.removeprefix("GATEWAY_")
        for notice in decision.notices
        if notice.code.startswith("GATEWAY_")
    ]
    book = next((a.age for a in decision.artifacts if a.kind == "features"), None)
    rules = next((a.version for a in decision.artifacts if a.kind == "rules"), "")
    return {
        "request_id": decision.request_id,
        "decision_id": decision.decision_id,
        "basket": receipt.basket.basket,
        "final": final,
        "local_time": receipt.basket.local_time,
        "week": receipt.week,
        "wan_up": world.wan_up,
        "gateway_up": world.gateway_up,
        "place": "terminal" if alone else "gateway",
        "mode": decision.mode.name.lower(),
        "fallback_reason": own[0] if alone and own else "",
        "budget_ms": BUDGET / _MS,
        "gateway_total_ms": None if alone else decision.total / _MS,
        "gateway_budget_ms": None if alone else decision.budget / _MS,
        "verdict": decision.verdict.name.lower(),
        "reasons": tuple(reason.code for result in decision.results for reason in result.reasons),
        "book_age_days": None if book is None else book / timedelta(days=1),
        "rules_version": rules,
        "lines": tuple(_judged(receipt, decision)) if final else (),
        "coupons": coupon_verdicts(_offers(decision)),
        "ledger": tuple(
            StageEntry(s.stage, s.workflow, s.spent_us, s.allotted_us, s.result.name)
            for s in ([] if alone else decision.ledger)
        ),
    }


def _judged(receipt: Receipt, decision: Decision) -> Iterator[LineOutcome]:
    truth = receipt.truth
    for line in _result(decision, "price_check").lines:
        if line.line_number in truth:
            yield LineOutcome(
                line_number=line.line_number,
                expected=line.expected,
                truth=truth[line.line_number],
                tier=line.tier.name.lower(),
                place=line.place.name.lower(),
                score=line.score,
            )


def _result(decision: Decision, workflow: str) -> WorkflowResult:
    found = [result for result in decision.results if result.workflow == workflow]
    return found[0] if found else WorkflowResult(workflow=workflow)


def _offers(decision: Decision) -> tuple[OfferResult, ...]:
    return _result(decision, "promotion_validation").offers


def _obey(lane: Lane, order: dict[str, Any]) -> dict[str, Any]:
    if "play" in order:
        world = World(wan_up=order["wan_up"], gateway_up=order["gateway_up"])
        expected = tuple(CouponVerdict(*verdict) for verdict in order["expected"])
        return lane.play(order["play"], world, expected)
    return lane.settle()


def main() -> None:
    """Obey orders from standard input until it ends or says ``close``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--calls", type=Path, required=True)
    parser.add_argument("--replay", choices=("calendar", "folded"), default="calendar")
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    with TerminalClient.open(config) as client, ControlTimer() as timer:
        lane = Lane(arguments.name, client, timer, arguments.calls, arguments.replay)
        print(json.dumps({"ready": arguments.name}), flush=True)
        for text in sys.stdin:
            order = json.loads(text)
            if "close" in order:
                break
            print(json.dumps(_obey(lane, order)), flush=True)
        lane.close()


if __name__ == "__main__":
    main()
