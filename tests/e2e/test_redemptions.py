"""The 2,102 real redemptions of 2017 in order, through the whole box and by a register alone.

Every recorded redemption did take place, so its sale is reported whatever was said of the
coupon. No basket is named: each is judged against all that its household bought that day.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from examples.complete_journey.coupons import Redemption, read_redemptions
from examples.complete_journey.rules_source import TIME_ZONE
from posgate.v1 import outcome_pb2, outcome_pb2_grpc, terminal_pb2, terminal_pb2_grpc
from terminal_client.client import TerminalClient
from terminal_client.core.basket import (
    Basket,
    CouponSymbology,
    LineItem,
    PresentedCoupon,
    TransactionRef,
    TransactionType,
)
from terminal_client.core.decision import Decision, OfferStatus, Place
from terminal_client.core.redemptions import redemption_key
from terminal_client.outcomes import SaleEnd, SaleOutcome, report_to_pb
from tests.e2e.asking import Caller
from tests.e2e.box import STORE, Box, closed_door
from tests.e2e.conftest import Store, install_rules

EXPECTED = {"OK": 1815, "COUPON_NO_QUALIFYING_ITEM": 263, "COUPON_ALREADY_REDEEMED": 24}
WORKFLOW = "promotion_validation"
# What is judged is proved here, not how fast: a busy machine must not cut it short.
BUDGET = timedelta(seconds=5)
_MOST_REPORTS = 256
_PATIENCE_S = 10.0
_UNTIL_ON_DISK = timedelta(seconds=5)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def real_sales() -> Iterator[tuple[str, Basket]]:
    """Yield each redemption's key and the household's day as one basket."""
    for number, real in enumerate(read_redemptions(), start=1):
        yield redemption_key(real.campaign, real.coupon, real.household), basket_of(real, number)


def basket_of(real: Redemption, number: int) -> Basket:
    at = datetime.fromisoformat(f"{real.date}T10:00").replace(tzinfo=ZoneInfo(TIME_ZONE))
    return Basket(
        transaction=TransactionRef(
            store_id=STORE,
            workstation_id="lane-1",
            business_day_date=real.date,
            sequence_number=number,
            basket_id=f"redemption-{number}",
        ),
        transaction_type=TransactionType.SALE,
        currency_code="USD",
        lines=tuple(
            LineItem(
                line_number=line,
                item_id=str(product),
                quantity_milli=1000 * quantity,
                extended_minor=net_minor,
            )
            for line, (product, quantity, net_minor, *_) in enumerate(real.lines, start=1)
        ),
        coupons=(
            PresentedCoupon(
                coupon_ref="c1",
                symbology=CouponSymbology.STORE,
                data=f"{real.campaign}:{real.coupon}",
            ),
        ),
        loyalty_token=real.household,
        evaluation_time=at.astimezone(UTC),
    )


def verdict(decision: Decision, key: str) -> str:
    assert len(decision.results[0].offers) == 1, decision
    (offer,) = decision.results[0].offers
    if offer.status is OfferStatus.APPLIED:
        assert offer.redemption_key == key
        return "OK"
    return offer.reasons[0].code


class Checkout:
    """Asks serving and reports to control, and lets serving hear of a sale before it matters."""

    def __init__(self, box: Box, caller: Caller) -> None:
        self._box = box
        self._caller = caller
        self._outcomes = outcome_pb2_grpc.OutcomeServiceStub(caller.control)
        self._terminals = terminal_pb2_grpc.TerminalServiceStub(caller.control)
        self._unreported: dict[str, outcome_pb2.OutcomeReport] = {}

    def sell(self, key: str, basket: Basket) -> str:
        # A sale's view concerns no other key, so only the same coupon's next use must wait.
        if key in self._unreported or len(self._unreported) == _MOST_REPORTS:
            self.report()
        decision = self._caller.decide(basket, [WORKFLOW])
        assert decision.results[0].place is Place.GATEWAY
        assert basket.evaluation_time is not None
        self._unreported[key] = report_to_pb(
            str(uuid.uuid4()),
            decision.decision_id,
            basket.transaction,
            basket.evaluation_time,
            SaleOutcome(end=SaleEnd.COMPLETED, redemption_keys=(key,)),
        )
        return verdict(decision, key)

    def report(self) -> None:
        """Report what was sold; return when serving's view holds it."""
        reports = list(self._unreported.values())
        answer = self._outcomes.ReportOutcomes(
            outcome_pb2.ReportOutcomesRequest(reports=reports), timeout=_PATIENCE_S
        )
        assert {result.status for result in answer.results} == {outcome_pb2.REPORT_STATUS_ACCEPTED}
        beat = self._terminals.Heartbeat(
            terminal_pb2.HeartbeatRequest(workstation_id="lane-1"), timeout=_PATIENCE_S
        )
        self._box.wait_for(
            lambda seen: seen.redemption_cursor >= beat.redemption_cursor, "the redemption view"
        )
        self._unreported.clear()


def test_the_box_judges_every_real_redemption_as_the_record_says(
    running_box: Box, caller: Caller
) -> None:
    checkout = Checkout(running_box, caller)
    said = Counter(checkout.sell(key, basket) for key, basket in real_sales())
    assert said == EXPECTED


def test_a_register_alone_judges_every_real_redemption_as_the_record_says(
    store: Store, tmp_path: Path
) -> None:
    nobody = closed_door()
    config = store.box("unplugged").terminal(
        tmp_path / "lane-1", store.lane, serving=nobody, control=nobody
    )
    install_rules(config, store.tree)
    said: Counter[str] = Counter()
    with TerminalClient.open(config) as client:
        for key, basket in real_sales():
            decision = client.evaluate(basket, [WORKFLOW], budget=BUDGET)
            assert decision.results[0].place is Place.TERMINAL
            said[verdict(decision, key)] += 1
            sale = SaleOutcome(end=SaleEnd.COMPLETED, redemption_keys=(key,))
            kept = client.report_outcome(basket.transaction, sale, wait=_UNTIL_ON_DISK)
            assert kept
        assert client.status().failures == 0
    assert said == EXPECTED
    # The ledger is on disk: a register that starts again knows what was used up.
    with TerminalClient.open(config) as client:
        again = Counter(
            verdict(client.evaluate(basket, [WORKFLOW], budget=BUDGET), key)
            for key, basket in list(real_sales())[:200]
        )
    assert again["OK"] == 0
