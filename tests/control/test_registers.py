"""What a register gets from control, over real TLS."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from posgate.v1 import bundle_pb2, decision_pb2, outcome_pb2, terminal_pb2
from posgate.v1.bundle_pb2_grpc import BundleServiceStub
from posgate.v1.outcome_pb2_grpc import OutcomeServiceStub
from posgate.v1.terminal_pb2_grpc import TerminalServiceStub
from terminal_client.codec import encode_request, instant_to_pb
from terminal_client.core.basket import Basket
from terminal_client.core.trust import Evidence, Followed, check_bundle, verify
from terminal_client.core.trust_memory import Memory
from terminal_client.signatures import verify_signature
from tests.control.fake_serving import fake_serving, until
from tests.control.store import Store
from tests.terminal.rules import basket

if TYPE_CHECKING:
    from posgate.v1.terminal_pb2_grpc import TerminalServiceAsyncStub

DECIDED = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.make(tmp_path)


def local(
    sequence: int, request_id: str = "", whole: Basket | None = None
) -> terminal_pb2.LocalDecision:
    request_id = request_id or f"r{sequence}"
    return terminal_pb2.LocalDecision(
        request=encode_request(request_id, whole or basket(sequence), ("age_check",)),
        response=decision_pb2.EvaluateResponse(
            request_id=request_id, decision_id=f"367-lane4-{sequence}"
        ),
        decided_time=instant_to_pb(DECIDED),
        local_sequence=sequence,
        fallback_reason=terminal_pb2.FALLBACK_REASON_TIMEOUT,
    )


def upload(
    *decisions: terminal_pb2.LocalDecision,
    gaps: tuple[terminal_pb2.SpoolGap, ...] = (),
    epoch: str = "s1",
) -> terminal_pb2.UploadLocalDecisionsRequest:
    return terminal_pb2.UploadLocalDecisionsRequest(
        workstation_id="4", spool_epoch=epoch, decisions=decisions, gaps=gaps
    )


def sale(
    request_id: str, end: outcome_pb2.SaleEnd.ValueType, *keys: str, minute: int = 0
) -> outcome_pb2.OutcomeReport:
    report = outcome_pb2.OutcomeReport(
        request_id=request_id,
        event_time=instant_to_pb(DECIDED.replace(minute=minute)),
        sale=outcome_pb2.SaleOutcome(end=end, redemption_keys=keys),
    )
    report.transaction.store_id = "367"
    report.transaction.workstation_id = "4"
    report.transaction.business_day_date = "2026-03-02"
    report.transaction.sequence_number = 1
    return report


@asynccontextmanager
async def stub(store: Store) -> AsyncIterator[TerminalServiceAsyncStub]:
    async with store.open_control(), store.register() as channel:
        yield TerminalServiceStub(channel)


def stored(store: Store, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(store.config.paths.database)
    try:
        return list(connection.execute(sql))
    finally:
        connection.close()


def told(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "posgate.dev"
    return info


async def test_hello_says_where_to_call_and_how_the_box_is(store: Store) -> None:
    digest = store.publish_rules("1.0.0")
    config = store.config
    async with (
        fake_serving(config.paths.serving_socket),
        store.open_control() as control,
        store.register() as channel,
    ):
        running = asyncio.create_task(control.run())
        await until(lambda: bool(control.facts().workflows))
        answer = await TerminalServiceStub(channel).Hello(
            terminal_pb2.HelloRequest(workstation_id="4", terminal_time=instant_to_pb(DECIDED))
        )
        running.cancel()
    assert answer.store_id == "367"
    assert answer.time_zone == "America/New_York"
    assert {e.role: e.target for e in answer.endpoints} == {
        terminal_pb2.ENDPOINT_ROLE_SERVING: config.listen.serving.target,
        terminal_pb2.ENDPOINT_ROLE_CONTROL: config.listen.control.target,
    }
    assert answer.mode == decision_pb2.MODE_LOCAL_ONLY
    assert answer.fallback_digest == digest
    assert "promotion_validation" in answer.workflows
    assert answer.heartbeat_interval.seconds == 15


async def test_without_serving_the_box_says_emergency(store: Store) -> None:
    async with stub(store) as register:
        answer = await register.Heartbeat(terminal_pb2.HeartbeatRequest(workstation_id="4"))
    assert answer.mode == decision_pb2.MODE_EMERGENCY
    assert answer.redemption_cursor > 0


async def test_an_upload_is_on_disk_once_however_often_it_comes(store: Store) -> None:
    batch = upload(local(1), local(2))
    async with stub(store) as register:
        first = await register.UploadLocalDecisions(batch)
        again = await register.UploadLocalDecisions(batch)
    assert (first.accepted_through, first.duplicate_count) == (2, 0)
    assert (again.accepted_through, again.duplicate_count) == (2, 2)
    assert stored(store, "SELECT sequence, fallback_reason FROM decisions") == [
        (1, "timeout"),
        (2, "timeout"),
    ]


async def test_poison_is_settled_with_its_reason_and_blocks_nothing(store: Store) -> None:
    unreadable = local(2)
    unreadable.request.request_id = "no spaces please"
    unreadable.request.basket.loyalty_token = "4111111111111111"
    other = local(3)
    other.response.request_id = "another"
    undated = local(4)
    undated.ClearField("decided_time")
    async with stub(store) as register:
        answer = await register.UploadLocalDecisions(
            upload(local(1), unreadable, other, undated, local(5))
        )
    assert answer.accepted_through == 5
    reasons = {one.local_sequence: one.reason for one in answer.rejected}
    assert set(reasons) == {2, 3, 4}
    assert reasons[2].startswith("request.request_id is malformed; send")
    assert reasons[3].startswith("response.request_id")
    assert reasons[4].startswith("decided_time is missing")
    assert stored(store, "SELECT sequence FROM decisions") == [(1,), (5,)]
    kept = stored(store, "SELECT body FROM rejected WHERE sequence = 2")[0][0]
    assert isinstance(kept, bytes)
    assert b"4111111111111111" not in kept


async def test_card_numbers_are_blanked_before_they_are_stored(store: Store) -> None:
    decision = local(1)
    decision.request.basket.loyalty_token = "4111111111111111"
    async with stub(store) as register:
        await register.UploadLocalDecisions(upload(decision))
    kept = stored(store, "SELECT request FROM decisions")[0][0]
    assert isinstance(kept, bytes)
    assert b"4111111111111111" not in kept


async def test_holes_inside_a_batch_are_on_record_whether_declared_or_not(store: Store) -> None:
    gap = terminal_pb2.SpoolGap(first_local_sequence=2, last_local_sequence=3, reason="SPOOL_FULL")
    async with stub(store) as register:
        answer = await register.UploadLocalDecisions(upload(local(1), local(6), gaps=(gap,)))
    assert answer.accepted_through == 6
    assert stored(
        store, "SELECT first_sequence, last_sequence, lost_count, reason FROM gaps ORDER BY 1"
    ) == [(2, 3, 2, "SPOOL_FULL"), (4, 5, 2, "UNDECLARED")]


MALFORMED = {
    "workstation": (
        terminal_pb2.UploadLocalDecisionsRequest(workstation_id="lane 4", spool_epoch="s"),
        "workstation_id",
    ),
    "epoch": (upload(epoch=""), "spool_epoch"),
    "order": (upload(local(2), local(1)), "decisions[1].local_sequence"),
    "number": (upload(local(0)), "decisions[0].local_sequence"),
    "count": (upload(*(local(n) for n in range(1, 258))), "decisions"),
    "gap": (upload(gaps=(terminal_pb2.SpoolGap(first_local_sequence=3),)), "gaps[0]"),
}


@pytest.mark.parametrize(("request_", "field"), MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_batch_is_refused_by_field(
    store: Store, request_: terminal_pb2.UploadLocalDecisionsRequest, field: str
) -> None:
    async with stub(store) as register:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await register.UploadLocalDecisions(request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told(caught.value).metadata["field"] == field
    assert told(caught.value).metadata["remedy"]
    assert stored(store, "SELECT 1 FROM decisions") == []


async def test_a_disk_that_refuses_is_unavailable_and_nothing_is_acknowledged(
    store: Store,
) -> None:
    async with stub(store) as register, store.register() as channel:
        await register.UploadLocalDecisions(upload(local(1)))
        blocker = sqlite3.connect(store.config.paths.database, isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        try:
            calls: tuple[Awaitable[Any], ...] = (
                register.UploadLocalDecisions(upload(local(2))),
                OutcomeServiceStub(channel).ReportOutcomes(
                    outcome_pb2.ReportOutcomesRequest(
                        reports=[sale("o1", outcome_pb2.SALE_END_COMPLETED)]
                    )
                ),
            )
            for call in calls:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
                assert told(caught.value).reason == "STORE_UNAVAILABLE"
                assert str(store.folder) not in (caught.value.details() or "")
        finally:
            blocker.close()
        again = await register.UploadLocalDecisions(upload(local(2)))
        assert (again.accepted_through, again.duplicate_count) == (2, 0)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from cloud_sync import database
from gateway.config_file import load_config
from gateway import control

write = database.Database.write
async def committed(self, unit):
    result = await write(self, unit)
    os.kill(os.getpid(), signal.SIGKILL)
database.Database.write = committed
asyncio.run(control.serve(load_config(Path(sys.argv[1]))))
"""


async def test_killed_between_commit_and_answer_nothing_is_lost_or_doubled(store: Store) -> None:
    batch = upload(local(1), local(2), local(3))
    process = subprocess.Popen(  # noqa: ASYNC220 - it takes a moment
        [sys.executable, "-c", KILLED, str(store.config_file)]
    )
    try:
        async with store.register() as channel:
            await asyncio.wait_for(channel.channel_ready(), 20)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await TerminalServiceStub(channel).UploadLocalDecisions(batch)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert process.wait(10) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
    async with stub(store) as register:
        answer = await register.UploadLocalDecisions(batch)
    assert (answer.accepted_through, answer.duplicate_count) == (3, 3)
    assert stored(store, "SELECT sequence FROM decisions") == [(1,), (2,), (3,)]
    assert stored(store, "SELECT COUNT(*), MAX(sequence) FROM outbox") == [(3, 3)]


async def test_outcomes_redeem_and_registers_follow(store: Store) -> None:
    async with store.open_control(), store.register() as channel:
        outcomes, bundles = OutcomeServiceStub(channel), BundleServiceStub(channel)
        answer = await outcomes.ReportOutcomes(
            outcome_pb2.ReportOutcomesRequest(
                reports=[
                    sale("o1", outcome_pb2.SALE_END_COMPLETED, "k1", "k2"),
                    sale("o1", outcome_pb2.SALE_END_COMPLETED, "k1", "k2"),
                    sale("o1", outcome_pb2.SALE_END_VOIDED),
                    sale("o 2", outcome_pb2.SALE_END_VOIDED),
                    sale("o3", outcome_pb2.SALE_END_VOIDED, "k1", minute=5),
                ]
            )
        )
        found = await bundles.GetRedemptions(bundle_pb2.GetRedemptionsRequest())
        quiet = await bundles.GetRedemptions(
            bundle_pb2.GetRedemptionsRequest(cursor=found.next_cursor)
        )
    assert [result.status for result in answer.results] == [
        outcome_pb2.REPORT_STATUS_ACCEPTED,
        outcome_pb2.REPORT_STATUS_DUPLICATE,
        outcome_pb2.REPORT_STATUS_REJECTED,
        outcome_pb2.REPORT_STATUS_REJECTED,
        outcome_pb2.REPORT_STATUS_ACCEPTED,
    ]
    assert "names another report" in answer.results[2].reason
    assert answer.results[3].reason.startswith("request_id is malformed; send")
    assert found.reset
    assert [(c.redemption_key, c.redeemed) for c in found.changes] == [("k2", True)]
    assert (quiet.reset, len(quiet.changes)) == (False, 0)
    assert found.HasField("as_of_time")


def broken(**changes: object) -> outcome_pb2.OutcomeReport:
    report = sale("o1", outcome_pb2.SALE_END_COMPLETED)
    for name, value in changes.items():
        if value is None:
            report.ClearField(name)  # type: ignore[arg-type]
        else:
            getattr(report, name).MergeFrom(value)
    return report


MALFORMED_REPORTS = {
    "time": (broken(event_time=None), "event_time"),
    "outcome": (broken(sale=None), "outcome"),
    "transaction": (broken(transaction=None), "transaction"),
    "end": (sale("o1", outcome_pb2.SALE_END_UNSPECIFIED), "sale.end"),
    "key": (sale("o1", outcome_pb2.SALE_END_COMPLETED, "k" * 65), "sale.redemption_keys[0]"),
    "keys": (
        sale("o1", outcome_pb2.SALE_END_COMPLETED, *map(str, range(201))),
        "sale.redemption_keys",
    ),
    "finding": (
        broken(sale=None, review=outcome_pb2.ReviewOutcome(workflow="age_check")),
        "review.finding",
    ),
}


@pytest.mark.parametrize(
    ("report", "field"), MALFORMED_REPORTS.values(), ids=MALFORMED_REPORTS.keys()
)
async def test_a_malformed_report_is_rejected_by_field(
    store: Store, report: outcome_pb2.OutcomeReport, field: str
) -> None:
    async with store.open_control(), store.register() as channel:
        answer = await OutcomeServiceStub(channel).ReportOutcomes(
            outcome_pb2.ReportOutcomesRequest(reports=[report])
        )
    (result,) = answer.results
    assert result.status == outcome_pb2.REPORT_STATUS_REJECTED
    assert result.reason.startswith(field + " ")


async def test_a_review_is_taken(store: Store) -> None:
    review = outcome_pb2.ReviewOutcome(
        workflow="price_check", finding=outcome_pb2.REVIEW_FINDING_DISMISSED
    )
    async with store.open_control(), store.register() as channel:
        answer = await OutcomeServiceStub(channel).ReportOutcomes(
            outcome_pb2.ReportOutcomesRequest(reports=[broken(sale=None, review=review)])
        )
    assert answer.results[0].status == outcome_pb2.REPORT_STATUS_ACCEPTED
    assert stored(store, "SELECT sale_end FROM outcomes") == [(0,)]


async def test_a_register_verifies_what_it_is_given(store: Store) -> None:
    digest = store.publish_rules("1.0.0")
    pinned = store.repository.root
    store.repository.rotate_root_key(now=datetime.now(UTC))
    async with store.open_control() as control, store.register() as channel:
        await control.mirror.look()
        bundles = BundleServiceStub(channel)
        running = asyncio.create_task(control.run())
        await until((store.config.paths.bundles_dir / f"{digest[7:]}.bundle").exists)
        trust = await bundles.GetTrust(bundle_pb2.GetTrustRequest(known_root_version=1))
        newer = await bundles.GetTrust(bundle_pb2.GetTrustRequest(known_root_version=2))
        raw = b""
        while True:
            piece = await bundles.GetBundle(
                bundle_pb2.GetBundleRequest(digest=digest, offset=len(raw), max_bytes=1000)
            )
            if not piece.chunk:
                break
            raw += piece.chunk
        running.cancel()
    evidence = Evidence(
        roots=tuple(trust.roots),
        delegation=trust.delegation,
        release=trust.release,
        pointer=trust.pointer,
    )
    followed = Followed(ring="fleet", channel="rules")
    trusted = verify(evidence, followed, pinned, Memory(), verify_signature)
    check_bundle(trusted.release, raw)
    assert piece.total_bytes == len(raw)
    assert len(trust.roots) == 1
    assert len(newer.roots) == 0


async def test_bundle_errors_have_their_codes(store: Store) -> None:
    async with store.open_control() as control, store.register() as channel:
        bundles = BundleServiceStub(channel)

        async def code(call: Awaitable[Any]) -> grpc.StatusCode:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            told(caught.value)
            return caught.value.code()

        asked = bundle_pb2.GetTrustRequest(known_root_version=1)
        assert await code(bundles.GetTrust(asked)) is grpc.StatusCode.UNAVAILABLE
        assert (
            await code(bundles.GetTrust(bundle_pb2.GetTrustRequest()))
            is grpc.StatusCode.INVALID_ARGUMENT
        )
        digest = store.publish_rules("1.0.0")
        await control.mirror.look()
        request = bundle_pb2.GetBundleRequest(digest=digest)
        assert await code(bundles.GetBundle(request)) is grpc.StatusCode.NOT_FOUND
        running = asyncio.create_task(control.run())
        await until((store.config.paths.bundles_dir / f"{digest[7:]}.bundle").exists)
        for changes, expected in (
            ({"digest": "sha256:" + "0" * 64}, grpc.StatusCode.NOT_FOUND),
            ({"digest": "../../etc/passwd"}, grpc.StatusCode.NOT_FOUND),
            ({"digest": digest, "offset": -1}, grpc.StatusCode.INVALID_ARGUMENT),
            ({"digest": digest, "max_bytes": 2**21}, grpc.StatusCode.INVALID_ARGUMENT),
            ({"digest": digest, "offset": 10**9}, grpc.StatusCode.OUT_OF_RANGE),
        ):
            request = bundle_pb2.GetBundleRequest(**changes)
            assert await code(bundles.GetBundle(request)) is expected
        running.cancel()


async def test_a_caller_without_a_certificate_gets_nowhere(store: Store) -> None:
    async with store.open_control():
        credentials = grpc.ssl_channel_credentials(store.ca.cert_pem.bytes())
        target = store.config.listen.control.target
        async with grpc.aio.secure_channel(target, credentials) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await TerminalServiceStub(channel).Hello(
                    terminal_pb2.HelloRequest(workstation_id="4"), timeout=2
                )
    assert caught.value.code() in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    )


async def test_a_renewed_certificate_is_served_without_a_restart(store: Store) -> None:
    async with store.open_control():
        renewed = store.ca.issue_cert("renewed.example", "localhost", "127.0.0.1")
        for name, pem in (
            ("box.pem", renewed.cert_chain_pems[0]),
            ("box.key", renewed.private_key_pem),
        ):
            replacement = store.folder / f"{name}.new"
            pem.write_to_path(replacement)
            os.replace(replacement, store.folder / name)
        options = (("grpc.ssl_target_name_override", "renewed.example"),)
        async with grpc.aio.secure_channel(
            store.config.listen.control.target, store.credentials(), options=options
        ) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(  # type: ignore[attr-defined]
                health_pb2.HealthCheckRequest(service="posgate.v1.TerminalService"), timeout=5
            )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_heartbeats_tell_silent_registers_from_heard_ones(store: Store) -> None:
    async with store.open_control() as control, store.register() as channel:
        register = TerminalServiceStub(channel)
        await register.Hello(terminal_pb2.HelloRequest(workstation_id="4", client_version="x/1"))
        await register.Heartbeat(
            terminal_pb2.HeartbeatRequest(
                workstation_id="4",
                spooled_decisions=3,
                terminal_time=instant_to_pb(datetime.now(UTC)),
            )
        )
        await control.monitor.look()
        report: dict[str, Any] = control.monitor.report
        (terminal,) = report["terminals"]
    assert terminal["state"] == "heard"
    assert terminal["client_version"] == "x/1"
    assert terminal["spooled_decisions"] == 3
    assert abs(terminal["clock_skew_s"]) < 5
