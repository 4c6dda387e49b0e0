"""Whatever a gateway does, every basket is answered, in time, as the rules say.

``POSGATE_BASKETS=10000`` asks as many baskets of the gateway that is dead, frozen, refusing TLS or
answering garbage.
"""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest

from posgate.v1 import decision_pb2
from terminal_client.config import BreakerConfig, TlsConfig
from terminal_client.core.decision import Place
from tests.terminal.conftest import Store, until
from tests.terminal.garbage import GarbageServer, Nonsense
from tests.terminal.rules import WORKFLOWS, basket, baskets
from tests.terminal.trial import assert_answered, count, run

BUDGET = timedelta(milliseconds=60)
FRESH = itertools.count(100_000)
Request = decision_pb2.EvaluateRequest
Response = decision_pb2.EvaluateResponse
pytestmark = pytest.mark.timeout(3600 if count(0) else 120)


def changed(change: Callable[[Response], object]) -> Callable[..., bytes]:
    """Return a fault that changes the honest answer."""

    def fault(request: Request, answer: bytes, context: grpc.ServicerContext) -> bytes:
        message = Response.FromString(answer)
        change(message)
        return message.SerializeToString()

    return fault


def aborted(code: grpc.StatusCode) -> Callable[..., bytes]:
    """Return a fault that refuses the call."""

    def fault(request: Request, answer: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(code, "no")

    return fault


def raw(payload: bytes) -> Callable[..., bytes]:
    """Return a fault that answers ``payload``."""
    return lambda request, answer, context: payload


BAD_ANSWERS = {
    "nothing": raw(b""),
    "no protobuf": raw(b"\xff" * 64),
    "half a message": lambda request, answer, context: answer[: len(answer) // 2],
    "text": raw(b"HTTP/1.1 200 OK\r\n\r\n<html></html>"),
    "no UTF-8": raw(b"\x0a\x02\xff\xfe"),
    "another request's": changed(lambda m: setattr(m, "request_id", "another")),
    "an older revision's": changed(lambda m: setattr(m, "basket_revision", 0)),
    "a workflow is missing": changed(lambda m: m.results.pop()),
    "a workflow twice": changed(lambda m: m.results.add().CopyFrom(m.results[0])),
    "another order": changed(lambda m: m.results.sort(key=lambda r: r.workflow, reverse=True)),
    "no results": changed(lambda m: m.ClearField("results")),
    "an unknown verdict": changed(lambda m: setattr(m.results[0], "verdict", 77)),
    "a verdict not said": changed(lambda m: setattr(m, "verdict", 0)),
    "an unknown tier": changed(lambda m: setattr(m.results[0], "tier", 77)),
    "an unknown place": changed(lambda m: setattr(m.results[0], "place", 77)),
    "an unknown mode": changed(lambda m: setattr(m, "mode", 77)),
    "an unknown freshness": changed(lambda m: setattr(m.artifacts[0], "freshness", 77)),
    "sums that do not add up": changed(
        lambda m: m.results[0].offers.add(offer_id="x", status=1, discount_minor=5)
    ),
    "a span of centuries": changed(lambda m: setattr(m.total_duration, "seconds", 2**60)),
    "a time before time": changed(lambda m: setattr(m.gateway_time, "seconds", -(2**60))),
}
ERRORS = {
    code: (aborted(code), expected)
    for code, expected in (
        (grpc.StatusCode.INTERNAL, "GATEWAY_ERROR"),
        (grpc.StatusCode.UNKNOWN, "GATEWAY_ERROR"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "GATEWAY_ERROR"),
        (grpc.StatusCode.UNIMPLEMENTED, "GATEWAY_ERROR"),
        (grpc.StatusCode.INVALID_ARGUMENT, "GATEWAY_ERROR"),
        (grpc.StatusCode.UNAVAILABLE, "GATEWAY_UNREACHABLE"),
        (grpc.StatusCode.UNAUTHENTICATED, "GATEWAY_CERTIFICATE_REJECTED"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "GATEWAY_TIMEOUT"),
    )
}


@pytest.mark.parametrize("fault", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_an_answer_that_cannot_be_used(store: Store, fault: Callable[..., bytes]) -> None:
    box = store.box()
    client = store.ready_terminal()
    client.evaluate(basket(), WORKFLOWS, budget=timedelta(seconds=5))
    box.fault = fault
    trial = run(client, baskets(20), BUDGET)
    assert_answered(trial)
    assert trial.places == {Place.TERMINAL: 20}
    assert trial.codes["GATEWAY_BAD_ANSWER"] >= 18


def test_a_gateway_that_answers_garbage_from_a_machine_of_its_own(store: Store) -> None:
    process = store.box_process()
    client = store.ready_terminal(breaker=BreakerConfig())
    process.kill()
    process.wait()
    store.box_process("garbage")
    trial = run(client, baskets(count(300)), BUDGET)
    assert_answered(trial)
    assert trial.places == {Place.TERMINAL: count(300)}
    until(lambda: _code(client) in ("GATEWAY_BAD_ANSWER", "GATEWAY_BREAKER_OPEN"))


@pytest.mark.parametrize("code", ERRORS, ids=lambda code: code.name)
def test_a_gateway_that_refuses(store: Store, code: grpc.StatusCode) -> None:
    fault, expected = ERRORS[code]
    box = store.box()
    client = store.ready_terminal()
    client.evaluate(basket(), WORKFLOWS, budget=timedelta(seconds=5))
    box.fault = fault
    trial = run(client, baskets(20), BUDGET)
    assert_answered(trial)
    assert trial.codes[expected] >= 18


def test_an_answer_larger_than_any_may_be(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()
    box.fault = raw(b"\0" * 5_000_000)
    assert_answered(run(client, baskets(20), BUDGET))


def test_a_gateway_that_is_slow(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()

    def slow(request: Request, answer: bytes, context: grpc.ServicerContext) -> bytes:
        time.sleep(0.08)
        return answer

    box.fault = slow
    trial = run(client, baskets(40), BUDGET)
    assert_answered(trial)
    assert trial.codes == {"GATEWAY_TIMEOUT": 40}


def test_a_gateway_that_answers_every_other_call_in_time(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()

    def erratic(request: Request, answer: bytes, context: grpc.ServicerContext) -> bytes:
        time.sleep(0.08 if request.basket.transaction.sequence_number % 2 else 0)
        return answer

    box.fault = erratic
    trial = run(client, baskets(40), BUDGET)
    assert_answered(trial)
    assert trial.places[Place.GATEWAY] >= 12


def test_a_gateway_that_was_never_there(store: Store) -> None:
    store.publish("1.0.0")
    box = store.box()
    store.ready_terminal().close()
    box.stop()
    # The rules are on disk from yesterday.
    client = store.terminal()
    trial = run(client, baskets(count(300)), BUDGET)
    assert_answered(trial)
    assert trial.places == {Place.TERMINAL: count(300)}
    assert set(trial.codes) <= {"GATEWAY_UNREACHABLE", "GATEWAY_TIMEOUT"}


def test_a_gateway_that_is_killed(store: Store) -> None:
    process = store.box_process()
    client = store.ready_terminal()
    before = run(client, baskets(20), timedelta(seconds=1))
    process.kill()
    process.wait()
    trial = run(client, baskets(count(300)), BUDGET)
    assert_answered(before)
    assert_answered(trial)
    assert trial.places == {Place.TERMINAL: count(300)}


@pytest.mark.parametrize("breaker", [BreakerConfig(), BreakerConfig(minimum=1000, window=1000)],
                         ids=["breaker", "no breaker"])  # fmt: skip
def test_a_gateway_that_is_frozen(store: Store, breaker: BreakerConfig) -> None:
    process = store.box_process()
    client = store.ready_terminal(breaker=breaker)
    before = run(client, baskets(20), timedelta(seconds=1))
    process.send_signal(signal.SIGSTOP)
    asked = count(300) if breaker == BreakerConfig() else 40
    trial = run(client, baskets(asked), BUDGET)
    assert_answered(before)
    assert_answered(trial)
    assert trial.places == {Place.TERMINAL: asked}
    assert trial.codes["GATEWAY_TIMEOUT"] > 0
    process.send_signal(signal.SIGCONT)
    until(lambda: _gateway_answers(client))


@pytest.mark.parametrize("nonsense", Nonsense, ids=lambda nonsense: nonsense.value)
def test_something_else_listens_there(store: Store, nonsense: Nonsense) -> None:
    store.box()
    store.ready_terminal().close()
    with GarbageServer(nonsense, store.path / "tls") as server:
        client = store.terminal(gateways=(server.address,))
        trial = run(client, baskets(60), BUDGET)
    assert_answered(trial)
    assert trial.places == {Place.TERMINAL: 60}
    assert set(trial.codes) <= {"GATEWAY_UNREACHABLE", "GATEWAY_TIMEOUT", "GATEWAY_ERROR"}


def test_a_gateway_with_a_stranger_s_certificate(store: Store) -> None:
    store.box()
    store.ready_terminal().close()
    store.gateways = ()
    store.box(server="stranger-server")
    client = store.terminal()
    until(lambda: _code(client) == "GATEWAY_CERTIFICATE_REJECTED")
    trial = run(client, baskets(count(300)), BUDGET)
    assert_answered(trial)
    # So many failures open even a reluctant breaker.
    assert trial.places == {Place.TERMINAL: count(300)}
    assert trial.codes["GATEWAY_CERTIFICATE_REJECTED"] >= 290


def test_a_gateway_that_refuses_our_certificate(store: Store) -> None:
    store.box()
    store.ready_terminal().close()
    tls = store.path / "tls"
    strange = TlsConfig(
        ca=tls / "ca.pem",
        certificate=tls / "stranger-client.pem",
        key=tls / "stranger-client.key",
    )
    client = store.terminal(tls=strange)
    until(lambda: _code(client) == "GATEWAY_CERTIFICATE_REJECTED")
    trial = run(client, baskets(count(300)), BUDGET)
    assert_answered(trial)
    # So many failures open even a reluctant breaker.
    assert trial.places == {Place.TERMINAL: count(300)}
    assert trial.codes["GATEWAY_CERTIFICATE_REJECTED"] >= 290


def test_a_new_certificate_is_used_without_a_restart(store: Store) -> None:
    box = store.box()
    tls = store.path / "tls"
    for end in ("pem", "key"):
        (tls / f"own.{end}").write_bytes((tls / f"stranger-client.{end}").read_bytes())
    own = TlsConfig(ca=tls / "ca.pem", certificate=tls / "own.pem", key=tls / "own.key")
    client = store.terminal(tls=own)
    until(lambda: _code(client) == "GATEWAY_CERTIFICATE_REJECTED")
    for end in ("pem", "key"):
        (tls / f"own.{end}").write_bytes((tls / f"client.{end}").read_bytes())
    until(lambda: _gateway_answers(client))
    assert box.asked


def _code(client) -> str:  # type: ignore[no-untyped-def]
    notices = client.evaluate(basket(), WORKFLOWS, budget=BUDGET).notices
    return notices[0].code if notices else ""


def _gateway_answers(client) -> bool:  # type: ignore[no-untyped-def]
    # A basket of its own each time: the breaker keeps back those that it kept back before.
    fresh = basket(next(FRESH))
    decision = client.evaluate(fresh, WORKFLOWS, budget=timedelta(seconds=1))
    return decision.results[0].place is Place.GATEWAY
