"""A box that starts cut off from its cloud answers from what is on its disk."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import grpc
import pytest

from examples.complete_journey.demo.machinery import program
from posgate.v1 import bundle_pb2, bundle_pb2_grpc, decision_pb2
from terminal_client.codec import encode_request
from tests.e2e.asking import Caller, calling, refusal_of
from tests.e2e.box import Box
from tests.e2e.conftest import IN_STEP, Store
from tests.e2e.lanes import WORKFLOWS, real_baskets

LONGEST_BOOT_S = 15.0
"""Two processes that import their libraries on a busy machine; about 3 s on an idle one."""
_ASK_EVERY_S = 0.02


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never says a word, as a cut WAN does."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]


def first_answer(caller: Caller, since_s: float) -> tuple[float, decision_pb2.EvaluateResponse]:
    """Ask until there is an answer; return how long it took."""
    request = encode_request(str(uuid.uuid4()), real_baskets(1)[0], WORKFLOWS)
    while True:
        try:
            raw = caller.evaluate(request.SerializeToString(), timeout_s=1.0)
            return time.monotonic() - since_s, decision_pb2.EvaluateResponse.FromString(raw)
        except grpc.RpcError as error:
            code = refusal_of(error).code
        assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        assert time.monotonic() - since_s < LONGEST_BOOT_S
        time.sleep(_ASK_EVERY_S)


@pytest.mark.slow
def test_a_box_without_its_cloud_starts_from_its_disk(store: Store, black_hole: int) -> None:
    ca = store.authority.ca.read_bytes()
    before = store.box("boot")
    before.start()
    try:
        before.wait_until_serving(IN_STEP)
        with calling(before.serving, before.control, ca, store.lane) as caller:
            asked = encode_request("asked-before", real_baskets(1)[0], WORKFLOWS)
            given = caller.evaluate(asked.SerializeToString())
            _wait_until_drained(before, b"asked-before")
        before.signal(SIGKILL)
    finally:
        before.stop()
    nowhere = f"127.0.0.1:{black_hole}"
    box = store.box("boot", tree_url=f"http://{nowhere}", deep=nowhere)
    began_s = time.monotonic()
    box.start_as("gateway", [program("posgate"), "gateway", "run", "--config", str(box.config)])
    try:
        with calling(box.serving, box.control, ca, store.lane) as caller:
            took_s, answer = first_answer(caller, began_s)
            print(f"boot to the first rules answer without a WAN: {took_s:.2f} s")
            assert {result.place for result in answer.results} == {decision_pb2.PLACE_GATEWAY}
            assert [a.version for a in answer.artifacts if a.kind == "rules"] == [IN_STEP["rules"]]
            box.wait_until_serving(IN_STEP)
            # What it answered in an earlier life it gives again.
            assert caller.evaluate(asked.SerializeToString()) == given
            trust = bundle_pb2_grpc.BundleServiceStub(caller.control).GetTrust(
                bundle_pb2.GetTrustRequest(known_root_version=1), timeout=5.0
            )
            assert trust.pointer == (store.tree / "metadata" / f"{box.ring}.json").read_bytes()
    finally:
        box.stop()


def test_a_box_that_never_had_rules_tells_registers_to_decide_by_theirs(store: Store) -> None:
    box = Box(folder=store.folder / "bare", authority=store.authority, root=store.desk.root)
    box.start("serving")
    try:
        ca = store.authority.ca.read_bytes()
        box.wait_for(lambda seen: bool(seen.epoch), "serving")
        with calling(box.serving, box.control, ca, store.lane) as caller:
            with pytest.raises(grpc.RpcError) as caught:
                caller.decide(real_baskets(1)[0], WORKFLOWS)
            refusal = refusal_of(caught.value)
        assert refusal.code is grpc.StatusCode.UNAVAILABLE
        assert refusal.info is not None
        assert (refusal.info.domain, refusal.info.reason) == ("posgate.dev", "STARTING")
    finally:
        box.stop()


def _wait_until_drained(box: Box, request_id: bytes) -> None:
    files: list[Path] = [box.database, box.database.with_name(box.database.name + "-wal")]
    until = time.monotonic() + 10.0
    while not any(request_id in path.read_bytes() for path in files if path.exists()):
        assert time.monotonic() < until, "control never drained the journal"
        time.sleep(0.05)
