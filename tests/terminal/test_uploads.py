"""What is uploaded, what a gateway may answer to it, and the redemption view on both sides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from posgate.v1 import outcome_pb2, terminal_pb2
from terminal_client.client import TerminalClient
from terminal_client.core.basket import TransactionRef
from terminal_client.fallback_reason import FallbackReason
from terminal_client.outcomes import ReviewFinding, ReviewOutcome, SaleEnd, SaleOutcome
from terminal_client.redemption_ledger import FeedChanges, RedemptionLedger
from tests.terminal.conftest import Store, ledger_of, spool_of, until, uploads
from tests.terminal.rules import WORKFLOWS, baskets

BUDGET = timedelta(milliseconds=200)
SALE = TransactionRef(store_id="367", workstation_id="lane-1", business_day_date="2026-03-02")


def decided_alone(store: Store, count: int) -> None:
    """Leave ``count`` decisions in the spool of a terminal that found no gateway."""
    box = store.box()
    store.ready_terminal().close()
    box.stop()
    client = store.terminal()
    for each in baskets(count):
        client.evaluate(each, WORKFLOWS, budget=BUDGET)
    client.close()
    store.gateways = ()


def waiting(client: TerminalClient) -> int:
    return spool_of(client).counts.waiting


def sequences(store: Store) -> list[int]:
    rows = store.folder.rows("SELECT sequence FROM decisions ORDER BY rowid")
    return [int(str(row[0])) for row in rows]


def test_what_was_decided_alone_is_uploaded_in_order(store: Store) -> None:
    decided_alone(store, 600)
    box = store.box()
    client = store.terminal()
    until(lambda: waiting(client) == 0)
    assert sequences(store) == list(range(1, 601))
    until(lambda: box.beats[-1].spooled_decisions == 0)
    assert uploads(client).settled == 600


def test_a_lost_answer_makes_a_duplicate_there_and_nothing_twice(store: Store) -> None:
    decided_alone(store, 5)
    box = store.box()
    lost = iter([True, True, False])

    def lose(name: str, answer: Any) -> Any:
        if name == "UploadLocalDecisions" and next(lost, False):
            raise RuntimeError("the connection breaks after the disk was written")
        return answer

    box.control_fault = lose
    client = store.terminal()
    until(lambda: waiting(client) == 0)
    assert sequences(store) == [1, 2, 3, 4, 5]
    assert uploads(client).duplicates == 5


@pytest.mark.parametrize(
    "through", [0, -5, 2, 2**40], ids=["nothing", "negative", "a part", "more than was sent"]
)
def test_only_what_was_sent_and_accepted_is_dropped(store: Store, through: int) -> None:
    decided_alone(store, 5)
    box = store.box()
    odd = iter([True])

    def fault(name: str, answer: Any) -> Any:
        if name == "UploadLocalDecisions" and next(odd, False):
            answer.accepted_through = through
        return answer

    box.control_fault = fault
    client = store.terminal()
    until(lambda: waiting(client) == 0)
    assert sequences(store) == [1, 2, 3, 4, 5]


def test_a_record_the_gateway_rejects_blocks_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    decided_alone(store, 5)
    box = store.box()

    def reject(name: str, answer: Any) -> Any:
        if name == "UploadLocalDecisions":
            answer.rejected.add(local_sequence=3, reason="basket.lines: too odd; send others")
        return answer

    box.control_fault = reject
    client = store.terminal()
    until(lambda: waiting(client) == 0)
    assert uploads(client).rejected == 1
    assert "-3 was rejected: basket.lines: too odd" in caplog.text


def test_a_record_that_spoils_its_batch_is_found_and_given_up(store: Store) -> None:
    decided_alone(store, 40)
    box = store.box()

    def picky(request: Any, context: grpc.ServicerContext) -> None:
        if any(decision.local_sequence == 17 for decision in request.decisions):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "decisions: no 17 here")

    box.upload_gate = picky
    client = store.terminal()
    until(lambda: waiting(client) == 0)
    until(lambda: len(sequences(store)) == 39)
    assert sequences(store) == [n for n in range(1, 41) if n != 17]
    until(lambda: bool(store.folder.rows("SELECT * FROM gaps")))
    assert {row[1:] for row in store.folder.rows("SELECT * FROM gaps")} == {(17, 17, "REFUSED")}


def test_a_disk_that_refuses_over_there_keeps_the_records_here(store: Store) -> None:
    decided_alone(store, 5)
    box = store.box()
    box.upload_gate = lambda request, context: context.abort(
        grpc.StatusCode.UNAVAILABLE, "the disk refuses"
    )
    client = store.terminal()
    until(lambda: any("the disk refuses" in text for text in client.status().conditions))
    assert waiting(client) == 5
    box.upload_gate = lambda request, context: None
    until(lambda: waiting(client) == 0)
    assert client.status().conditions == ()


def test_gaps_are_told(store: Store) -> None:
    box = store.box()
    store.ready_terminal().close()
    box.stop()
    client = store.terminal()
    spool_of(client)._cap_bytes = 20_000
    for each in baskets(60):
        client.evaluate(each, WORKFLOWS, budget=BUDGET)
    dropped = spool_of(client).counts.dropped
    assert dropped > 0
    client.close()
    store.gateways = ()
    store.box()
    client = store.terminal()
    until(lambda: bool(store.folder.rows("SELECT * FROM gaps")))
    until(lambda: spool_of(client).batch(1) is None)
    told = [
        range(int(str(a)), int(str(b)) + 1)
        for _, a, b, _ in store.folder.rows("SELECT * FROM gaps")
    ]
    assert sum(map(len, told)) == dropped
    assert sorted([*sequences(store), *(n for gap in told for n in gap)]) == list(range(1, 61))


def test_a_sale_s_end_reaches_the_gateway_once(store: Store) -> None:
    store.box()
    client = store.terminal()
    outcome = SaleOutcome(end=SaleEnd.COMPLETED, final_basket_revision=3, redemption_keys=("k",))
    assert client.report_outcome(SALE, outcome, decision_id="d-1", wait=timedelta(seconds=5))
    review = ReviewOutcome(workflow="price_check", finding=ReviewFinding.DISMISSED, line_number=2)
    assert client.report_outcome(SALE, review, decision_id="d-2", wait=timedelta(seconds=5))
    until(lambda: len(store.folder.rows("SELECT * FROM outcomes")) == 2)
    until(lambda: spool_of(client).outcomes(9) == ())


def test_a_redemption_counts_here_at_once_and_at_the_other_lanes_soon(store: Store) -> None:
    store.box()
    one, two = store.terminal("lane-1"), store.terminal("lane-2")
    outcome = SaleOutcome(end=SaleEnd.COMPLETED, redemption_keys=("coupon-1", "coupon-2"))
    one.report_outcome(SALE, outcome)
    assert set(one._view().keys) == {"coupon-1", "coupon-2"}
    until(lambda: set(two._view().keys) == {"coupon-1", "coupon-2"})
    as_of = two._view().as_of
    assert as_of is not None
    two.report_outcome(SALE, SaleOutcome(end=SaleEnd.VOIDED, redemption_keys=("coupon-1",)))
    assert set(two._view().keys) == {"coupon-2"}
    until(lambda: set(one._view().keys) == {"coupon-2"})


def test_redemptions_survive_a_restart_without_a_gateway(store: Store) -> None:
    box = store.box()
    client = store.terminal()
    client.report_outcome(SALE, SaleOutcome(end=SaleEnd.COMPLETED, redemption_keys=("known",)))
    until(lambda: ledger_of(client).cursor > 0)
    client.close()
    box.stop()
    client = store.terminal()
    client.report_outcome(SALE, SaleOutcome(end=SaleEnd.COMPLETED, redemption_keys=("own",)),
                          wait=timedelta(seconds=5))  # fmt: skip
    client.close()
    client = store.terminal()
    assert set(client._view().keys) == {"known", "own"}


def test_a_report_that_cannot_be_written_down_is_said_and_not_raised(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    client = store.terminal()
    outcome = SaleOutcome(end=SaleEnd.COMPLETED, final_basket_revision=2**80)
    assert not client.report_outcome(SALE, outcome)
    assert not client.report_outcome(SALE, "paid")  # type: ignore[arg-type]
    assert caplog.text.count("an outcome cannot be written down") == 2


def test_a_rejected_report_is_dropped_and_no_longer_counts(store: Store) -> None:
    box = store.box()

    def reject(name: str, answer: Any) -> Any:
        if isinstance(answer, outcome_pb2.ReportOutcomesResponse):
            for result in answer.results:
                result.status = outcome_pb2.REPORT_STATUS_REJECTED
                result.reason = "transaction: unknown; send another"
        return answer

    box.control_fault = reject
    client = store.terminal()
    client.report_outcome(SALE, SaleOutcome(end=SaleEnd.ABANDONED))
    until(lambda: uploads(client).rejected == 1)
    until(lambda: spool_of(client).outcomes(9) == ())


def test_a_status_that_is_unknown_keeps_the_report(store: Store) -> None:
    box = store.box()
    odd = iter([True, True])

    def unknown(name: str, answer: Any) -> Any:
        if isinstance(answer, outcome_pb2.ReportOutcomesResponse) and next(odd, False):
            for result in answer.results:
                result.status = 77  # type: ignore[assignment]
        return answer

    box.control_fault = unknown
    client = store.terminal()
    client.report_outcome(SALE, SaleOutcome(end=SaleEnd.ABANDONED), wait=timedelta(seconds=5))
    until(lambda: spool_of(client).outcomes(9) == ())
    assert len(store.folder.rows("SELECT * FROM outcomes")) == 1


def test_the_feed_is_taken_whole_and_a_reset_begins_anew(tmp_path: Path) -> None:
    ledger = RedemptionLedger.open(tmp_path / "ledger.sqlite3")
    before = ledger.view
    ledger.take_feed(
        FeedChanges(reset=False, changes=(("a", True), ("b", True), ("a", False)),
                    next_cursor=3, as_of=None)
    )  # fmt: skip
    ledger.note_own("r1", {"c": True, "b": False})
    view = ledger.view
    assert (set(view.keys), len(view.keys), len(before.keys)) == ({"c"}, 1, 0)
    ledger.take_feed(FeedChanges(reset=True, changes=(("d", True),), next_cursor=9, as_of=None))
    assert set(ledger.view.keys) == {"c", "d"}
    ledger.settle_own(["r1", "unknown"], taken=True)
    assert (set(ledger.view.keys), ledger.cursor) == ({"c", "d"}, 9)
    ledger.close()
    again = RedemptionLedger.open(tmp_path / "ledger.sqlite3")
    assert (set(again.view.keys), again.cursor) == ({"c", "d"}, 9)
    again.close()


def test_a_ledger_that_is_no_database_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"not a database, " * 512)
    ledger = RedemptionLedger.open(path)
    assert set(ledger.view.keys) == set()
    ledger.close()


def test_the_numbers_of_the_enums_are_the_contract_s() -> None:
    for own, theirs, prefix in (
        (SaleEnd, outcome_pb2.SaleEnd, "SALE_END_"),
        (ReviewFinding, outcome_pb2.ReviewFinding, "REVIEW_FINDING_"),
        (FallbackReason, terminal_pb2.FallbackReason, "FALLBACK_REASON_"),
    ):
        named = {f"{prefix}{member.name}": member.value for member in own}
        assert named | {f"{prefix}UNSPECIFIED": 0} == dict(theirs.items())


CARD = "4111111111111111"


def test_a_card_number_in_an_outcome_reaches_no_disk(store: Store) -> None:
    client = store.terminal()
    careless = replace(SALE, operator_id=CARD, lane_label=f"card {CARD}", basket_id="basket-1")
    finding = ReviewOutcome(
        workflow="age_check", finding=ReviewFinding.DISMISSED, reason_code=f"CARD {CARD}"
    )
    assert client.report_outcome(careless, finding, wait=timedelta(seconds=5))
    assert client.report_outcome(
        careless, SaleOutcome(end=SaleEnd.COMPLETED), wait=timedelta(seconds=5)
    )
    reports = [
        outcome_pb2.OutcomeReport.FromString(outcome.body)
        for outcome in spool_of(client).outcomes(10)
    ]
    assert [report.transaction.operator_id for report in reports] == ["", ""]
    assert [report.transaction.lane_label for report in reports] == ["", ""]
    assert {report.transaction.basket_id for report in reports} == {"basket-1"}
    assert reports[0].review.reason_code == ""
    client.close()
    files = [path for path in (store.path / "lane-1").rglob("*") if path.is_file()]
    assert any(path.name.startswith("spool") for path in files)
    assert not any(CARD.encode() in path.read_bytes() for path in files)
