"""Whatever is sent to control's door, it answers or refuses; it never breaks or tells."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.message import Message

from posgate.v1 import bundle_pb2, outcome_pb2, terminal_pb2
from tests.e2e.asking import Caller, calling, refusal_of
from tests.e2e.box import Box
from tests.e2e.conftest import IN_STEP, Store
from tests.e2e.fuzzing import fuzz
from tests.e2e.test_hostile_input import PYTHON, prove_told_well

if TYPE_CHECKING:
    # Generic in the stubs alone.
    Method = grpc.UnaryUnaryMultiCallable[bytes, bytes]

FUZZED = 60
_SEED = 2018


@pytest.fixture(scope="module")
def box(store: Store) -> Iterator[Box]:
    box = store.box("hostile-control")
    box.start()
    try:
        box.wait_until_serving(IN_STEP)
        yield box
        assert box.alive("serving")
        assert box.alive("control")
    finally:
        box.stop()


@pytest.fixture(scope="module")
def caller(box: Box, store: Store) -> Iterator[Caller]:
    ca = store.authority.ca.read_bytes()
    with calling(box.serving, box.control, ca, store.lane) as caller:
        yield caller


CONTROL: dict[str, tuple[str, type[Message]]] = {
    "Hello": ("TerminalService", terminal_pb2.HelloRequest),
    "Heartbeat": ("TerminalService", terminal_pb2.HeartbeatRequest),
    "UploadLocalDecisions": ("TerminalService", terminal_pb2.UploadLocalDecisionsRequest),
    "ReportOutcomes": ("OutcomeService", outcome_pb2.ReportOutcomesRequest),
    "GetTrust": ("BundleService", bundle_pb2.GetTrustRequest),
    "GetBundle": ("BundleService", bundle_pb2.GetBundleRequest),
    "GetRedemptions": ("BundleService", bundle_pb2.GetRedemptionsRequest),
}
_TOLD = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE,
)


@pytest.mark.parametrize(("method", "service"), [(m, s) for m, (s, _) in CONTROL.items()])
def test_fuzzed_calls_to_control_are_answered_or_refused(
    method: str, service: str, box: Box, caller: Caller
) -> None:
    random = Random(_SEED)
    call: Method = caller.control.unary_unary(f"/posgate.v1.{service}/{method}")
    for _ in range(FUZZED):
        raw = fuzz(CONTROL[method][1](), random).SerializeToString()
        try:
            call(raw, timeout=10.0)
        except grpc.RpcError as error:
            refusal = refusal_of(error)
            assert refusal.code in _TOLD, (raw, refusal)
            assert refusal.info is not None, refusal
            assert refusal.info.domain == "posgate.dev"
            assert not PYTHON.search(refusal.message)
    assert "Traceback" not in (box.folder / "logs" / "control.log").read_text()


def test_bytes_that_are_no_request_to_control_are_refused(caller: Caller) -> None:
    for method, (service, _) in CONTROL.items():
        call: Method = caller.control.unary_unary(f"/posgate.v1.{service}/{method}")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff" * 50, timeout=10.0)
        prove_told_well(refusal_of(caught.value))
