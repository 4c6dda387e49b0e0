"""The serving process as registers and control meet it: TLS, sockets, signals, hostile bytes."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from posgate.box.v1 import serving_pb2 as box_pb
from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import decision_from_pb, encode_request
from terminal_client.core.decision import Verdict
from terminal_client.core.modes import Mode, Tier
from tests.gateway.baskets import basket, line, request
from tests.gateway.bundles import FEATURES, NOW
from tests.gateway.serving_process import Serving, metadata, serving, stored

EVALUATE = "/posgate.v1.DecisionService/Evaluate"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("store")) as opened:
        opened.activate(*opened.bundles())
        opened.give_answers([])
        yield opened


@pytest.fixture
def evaluate(store: Serving) -> Iterator[Any]:
    """The call as a register in any language makes it: bytes in, bytes out."""
    with store.channel() as channel:
        yield raw_call(channel)


def raw_call(channel: grpc.Channel) -> Any:
    return channel.unary_unary(EVALUATE)


def error_info(error: Any) -> error_details_pb2.ErrorInfo:
    status = status_pb2.Status.FromString(metadata(error, "grpc-status-details-bin"))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "posgate.dev"
    return info


def test_a_register_gets_the_models_answer_over_tls(store: Serving) -> None:
    message = encode_request("first", basket(["sure-yes", "sure-no", "maybe"]), ["price_check"])
    with store.lane() as lane:
        response, call = lane.Evaluate.with_call(message, timeout=5)
        again, replayed = lane.Evaluate.with_call(message, timeout=5)
    decision = decision_from_pb(response)
    assert [at.tier for at in decision.results[0].lines] == [
        Tier.EDGE_MODEL, Tier.EDGE_MODEL, Tier.RULES,
    ]  # fmt: skip
    assert (decision.results[0].mode, decision.verdict) == (Mode.LOCAL_ONLY, Verdict.REVIEW)
    assert decision.decision_id.startswith("367-")
    assert again == response
    assert metadata(call, "posgate-replayed") is None
    assert metadata(replayed, "posgate-replayed") == "1"


def test_without_a_client_certificate_nobody_gets_in(store: Serving) -> None:
    with store.channel(certificate=False) as channel, pytest.raises(grpc.RpcError) as caught:
        raw_call(channel)(request(basket([])), timeout=2)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_only_this_user_may_give_orders(store: Serving) -> None:
    mode = (store.run_dir / "serving.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_health_says_when_lanes_can_come(tmp_path: Path) -> None:
    with serving(tmp_path) as fresh, fresh.channel() as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service="posgate.v1.DecisionService")
        with pytest.raises(grpc.RpcError) as caught:
            raw_call(channel)(request(basket([])), timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert error_info(caught.value).reason == "STARTING"
        assert not fresh.status().ready
        fresh.activate(fresh.bundles()[0])
        begun_s = time.monotonic()
        while not fresh.status().ready:
            assert time.monotonic() - begun_s < 7, "without control's answers, after 5 s"
            time.sleep(0.05)
        time.sleep(0.3)
        serving_now = health_pb2.HealthCheckResponse.SERVING
        assert health.Check(asked, timeout=5).status == serving_now
        raw_call(channel)(request(basket([])), timeout=5)
        fresh.process.terminate()
        assert fresh.process.wait(10) == 0


def test_kill_9_keeps_every_answer_and_a_new_life_gives_it_again(tmp_path: Path) -> None:
    with serving(tmp_path) as opened:
        bundles = opened.bundles()
        opened.activate(*bundles)
        opened.give_answers([])
        bodies = [request(basket(["maybe", "sure-yes"])) for _ in range(20)]
        with opened.channel() as channel:
            call = raw_call(channel)
            answers = [call(body, timeout=5) for body in bodies]
        first_epoch = opened.status().epoch
        opened.kill()
        records = opened.journal()
        assert [record.response for record in records] == answers
        assert [record.request for record in records] == bodies
        assert [record.sequence for record in records] == list(range(1, 21))
        opened.restart()
        assert opened.status().epoch != first_epoch
        opened.activate(*bundles)
        opened.give_answers([stored(record) for record in records])
        with opened.channel() as channel:
            call = raw_call(channel)
            assert [call(body, timeout=5) for body in bodies] == answers
            call(request(basket(["maybe"])), timeout=5)
        later = opened.journal()[20:]
        assert [(r.epoch == first_epoch, r.sequence) for r in later] == [(False, 1)]


def test_answers_on_a_stream_are_paired_by_request_id(store: Serving) -> None:
    good = [
        pb.EvaluateRequest.FromString(request(basket(["maybe"]), request_id=f"stream-{n}"))
        for n in range(20)
    ]
    bad = pb.EvaluateRequest(request_id="bad id", workflows=["price_check"])
    asked = [pb.EvaluateStreamRequest(request=r) for r in [*good, bad, good[0]]]
    with store.lane() as lane:
        answers = list(lane.EvaluateStream(iter(asked), timeout=20))
    assert len(answers) == 22
    by_id = {answer.request_id: answer for answer in answers}
    assert {by_id[r.request_id].response.request_id for r in good} == {r.request_id for r in good}
    assert by_id["bad id"].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    repeats = [a for a in answers if a.request_id == "stream-0"]
    assert [a.replayed for a in repeats].count(True) == 1
    assert repeats[0].response == repeats[1].response


def test_a_decision_can_be_asked_for_again(store: Serving) -> None:
    with store.lane() as lane:
        message = pb.EvaluateRequest.FromString(request(basket(["maybe"])))
        first = lane.Evaluate(message, timeout=5)
        found = lane.GetDecision(pb.GetDecisionRequest(decision_id=first.decision_id), timeout=5)
        assert found.decision == first
        with pytest.raises(grpc.RpcError) as caught:
            lane.GetDecision(pb.GetDecisionRequest(decision_id="367-never-1"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_metrics_of_this_process_are_rendered_by_another(store: Serving) -> None:
    with store.lane() as lane:
        lane.Evaluate(pb.EvaluateRequest.FromString(request(basket(["maybe"]))), timeout=5)
    registry = CollectorRegistry()
    collect: Any = MultiProcessCollector
    collect(registry, path=str(store.run_dir / "metrics"))
    text = generate_latest(registry).decode()
    for name in (
        'posgate_decisions_total{mode="local_only",source="rules"',
        'posgate_stage_seconds_count{stage="edge"}',
        'posgate_mode{mode="local_only",',
        "posgate_degrade_reason{",
        'grpc_server_handled_total{grpc_code="OK",grpc_method="Evaluate"',
        "posgate_canary_success{",
    ):
        assert name in text, name


def test_control_can_order_a_mode_and_take_it_back(store: Serving) -> None:
    with store.control() as control, store.lane() as lane:
        for mode, tier in ((pb.MODE_EMERGENCY, pb.TIER_RULES), (0, pb.TIER_EDGE_MODEL)):
            order = box_pb.ForceModeRequest(mode=pb.Mode.ValueType(mode), reason="DRILL")
            control.ForceMode(order, timeout=5)
            message = pb.EvaluateRequest.FromString(request(basket(["sure-yes"])))
            answer = lane.Evaluate(message, timeout=5)
            assert answer.results[0].tier == tier
        with pytest.raises(grpc.RpcError) as caught:
            control.ForceMode(box_pb.ForceModeRequest(mode=pb.MODE_FULL, reason="fun"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_the_stores_own_log_reaches_the_rows(store: Serving) -> None:
    rows = [
        box_pb.StoreLogRow(business_day=day, item_id="maybe", line_count=4, discounted_line_count=1)
        for day in (2017_11_19, 2017_11_20, 2017_11_21, 2017_11_22)
    ]
    with store.control() as control, store.lane() as lane:
        control.PutStoreLog(box_pb.PutStoreLogRequest(reset=True, rows=rows, cursor=9), timeout=5)
        assert control.GetStatus(box_pb.GetStatusRequest(), timeout=5).store_log_cursor == 9
        message = pb.EvaluateRequest.FromString(request(basket(["maybe"])))
        lane.Evaluate(message, timeout=5)
    (scored,) = store.journal()[-1].scored
    row = np.frombuffer(scored.rows, "<f4")
    assert row[[f["name"] for f in FEATURES].index("ls_n")] == 8, "Monday and Tuesday, not Sunday"


def test_redemptions_reach_the_rules(store: Serving) -> None:
    changes = [("a" * 32, True), ("b" * 32, True), ("a" * 32, False)]
    with store.control() as control:
        put = box_pb.PutRedemptionsRequest(reset=True, cursor=3)
        for key, redeemed in changes:
            put.changes.add(redemption_key=key, redeemed=redeemed)
        control.PutRedemptions(put, timeout=5)
        assert control.GetStatus(box_pb.GetStatusRequest(), timeout=5).redemption_cursor == 3


def test_orders_about_unknown_artifacts_are_refused(store: Serving) -> None:
    with store.control() as control:
        for order in (
            lambda: control.Flip(box_pb.FlipRequest(digest="sha256:0"), timeout=5),
            lambda: control.Canary(box_pb.CanaryRequest(digest="sha256:0"), timeout=5),
            lambda: control.Unload(box_pb.UnloadRequest(digest="sha256:0"), timeout=5),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                order()
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        artifact = box_pb.ServedArtifact(kind="rules", digest="sha256:0")
        with pytest.raises(grpc.RpcError) as caught:
            control.Stage(box_pb.StageRequest(artifact=artifact, path="/dev/null"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def _request(change: Any) -> bytes:
    message = pb.EvaluateRequest.FromString(request(basket(["maybe"])))
    change(message)
    return message.SerializeToString()


def _many(message: pb.EvaluateRequest, count: int) -> None:
    del message.basket.lines[:]
    for number in range(1, count + 1):
        message.basket.lines.add(
            line_number=number, item_id=f"item-{number}", quantity_milli=1000,
            regular_unit_price_minor=100, actual_unit_price_minor=100, extended_minor=100,
        )  # fmt: skip


HOSTILE: dict[str, tuple[Any, str]] = {
    "no protobuf": (lambda: b"\xff\xff\xff", "request"),
    "empty": (lambda: b"", "request_id"),
    "no workflow": (lambda: _request(lambda m: m.ClearField("workflows")), "workflows"),
    "workflow twice": (
        lambda: _request(lambda m: m.workflows.append("price_check")), "workflows[1]"
    ),
    "id with a space": (lambda: _request(lambda m: setattr(m, "request_id", "a b")), "request_id"),
    "duplicate line numbers": (
        lambda: _request(lambda m: m.basket.lines.add(line_number=1, quantity_milli=1)),
        "basket.lines",
    ),
    "2,001 lines": (lambda: _request(lambda m: _many(m, 2001)), "basket.lines"),
    "line number 0": (lambda: _request(lambda m: m.basket.lines.add()), "basket.lines[1]"),
    "endless price": (
        lambda: _request(
            lambda m: m.basket.lines.add(line_number=2, regular_unit_price_minor=2**62)
        ),
        "basket.lines[1].regular_unit_price_minor",
    ),
    "endless budget": (
        lambda: _request(lambda m: setattr(m.budget, "seconds", 2**40)), "budget"
    ),
    "year 9999": (
        lambda: _request(lambda m: setattr(m.basket.evaluation_time, "seconds", 253402300799)),
        "basket.evaluation_time",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_malformed_request_is_refused_by_field(evaluate: Any, name: str) -> None:
    make, field = HOSTILE[name]
    with pytest.raises(grpc.RpcError) as caught:
        evaluate(make(), timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info = error_info(caught.value)
    assert info.metadata["field"].startswith(field)
    assert info.metadata["remedy"]


ODD: dict[str, Any] = {
    "an empty basket": basket([]),
    "quantity 89,638": basket([line(1, "maybe", quantity_milli=89_638_000)]),
    "quantity 0": basket([line(1, "maybe", quantity_milli=0)]),
    "a negative total": basket([line(1, "maybe", price=-500), line(2, "sure-no", price=-1)]),
    "an unknown product": basket(["☃" * 20, "", "x" * 64]),
    "a voided line": basket([line(1, "maybe", voided=True)]),
    "1970": basket(["maybe"], at=NOW.replace(year=1970)),
    "2200": basket(["maybe"], at=NOW.replace(year=2200)),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_basket_gets_an_answer(evaluate: Any, name: str) -> None:
    body = request(ODD[name], "price_check", "promotion_validation", "recommendation", "age_check")
    answer = pb.EvaluateResponse.FromString(evaluate(body, timeout=10))
    assert len(answer.results) == 4
    assert answer.total_duration.ToTimedelta() <= answer.budget_duration.ToTimedelta()


def test_two_thousand_lines_get_an_answer_and_hold_nobody_up(store: Serving) -> None:
    body = _request(lambda m: _many(m, 2000))
    with store.channel() as channel:
        call = raw_call(channel)
        call(request(basket(["maybe"])), timeout=10)
        large = call.future(body, timeout=20)
        waits = []
        while not large.done():
            begun_s = time.monotonic()
            call(request(basket(["maybe"])), timeout=10)
            waits.append(time.monotonic() - begun_s)
        decision = decision_from_pb(pb.EvaluateResponse.FromString(large.result()))
    assert decision.results[0].lines or decision.results[0].reasons[0].code == "BUDGET_EXHAUSTED"
    assert decision.total <= decision.budget + timedelta(milliseconds=50)
    assert len(waits) < 3 or sorted(waits)[len(waits) // 2] < 0.1


def test_a_message_above_4_mib_is_refused_without_a_word_of_the_inside(evaluate: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        evaluate(b"\x0a" + b"x" * (4 * 1024 * 1024 + 1), timeout=20)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "/" not in str(caught.value.details())


def test_four_megabytes_of_noise_are_refused(evaluate: Any) -> None:
    message = pb.EvaluateRequest(request_id="big", workflows=["price_check"])
    message.basket.loyalty_token = "x" * (4 * 1024 * 1024 - 200)
    with pytest.raises(grpc.RpcError) as caught:
        evaluate(message.SerializeToString(), timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(caught.value).metadata["field"] == "basket.loyalty_token"
    assert len(str(caught.value.details())) < 300


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_no_bytes_get_anything_but_an_answer_or_a_named_field(
    evaluate: Any, data: st.DataObject
) -> None:
    whole = basket(["maybe", "sure-yes"], loyalty_token="h1")
    # A fixed id keeps the example the same from run to run; another body of it is refused.
    raw = bytearray(request(whole, request_id="fuzzed"))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
    code, answered = outcome(evaluate, bytes(raw))
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT), code
    assert answered


def outcome(evaluate: Any, raw: bytes) -> tuple[grpc.StatusCode, bool]:
    """Return the status, and whether results or a field's name came with it."""
    try:
        answer = pb.EvaluateResponse.FromString(evaluate(raw, timeout=10))
    except grpc.RpcError as error:
        return error.code(), bool(error_info(error).metadata["field"])
    return grpc.StatusCode.OK, len(answer.results) >= 1


def test_after_all_that_it_still_serves_and_has_logged_no_call(store: Serving) -> None:
    with store.channel() as channel:
        raw_call(channel)(request(basket(["maybe"])), timeout=5)
    log = (store.folder / "serving.log").read_text()
    assert "Traceback" not in log
    assert len(log.splitlines()) < 20, log
    assert json.dumps("maybe") not in log
