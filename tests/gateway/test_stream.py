"""The service over gRPC: a caller that does not read, one that goes, one that is refused."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from gateway.api.decision_service import DecisionService
from gateway.decisions.engine import Answer, OverloadedError
from posgate.v1 import decision_pb2 as pb
from posgate.v1.decision_pb2_grpc import DecisionServiceStub

ROOM = 64
PATIENCE_S = 10.0


class CountingDecider:
    """Answers at once with 64 KiB, more than a connection buffers for its reader."""

    def __init__(self) -> None:
        self.count = 0
        self.crowded = False
        self.stuck = asyncio.Event()
        self.stuck.set()

    async def evaluate(self, raw: bytes, deadline: timedelta | None) -> Answer:
        self.count += 1
        if self.crowded:
            raise OverloadedError
        await self.stuck.wait()
        return Answer(
            response=pb.EvaluateResponse(request_id="x" * 65_536).SerializeToString(),
            replayed=False,
        )

    def decision(self, decision_id: str) -> bytes | None:
        return None


@asynccontextmanager
async def served(decider: CountingDecider) -> AsyncIterator[Any]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((DecisionService(decider, lambda: True).handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield DecisionServiceStub(channel)
    finally:
        await server.stop(None)


def question(number: int) -> pb.EvaluateStreamRequest:
    return pb.EvaluateStreamRequest(request=pb.EvaluateRequest(request_id=f"r{number}"))


async def until(true: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE_S / 0.01)):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


async def test_who_does_not_read_is_not_read() -> None:
    decider = CountingDecider()
    most = 2000

    async def questions() -> AsyncIterator[pb.EvaluateStreamRequest]:
        for number in range(most):
            yield question(number)

    async with served(decider) as stub:
        call = stub.EvaluateStream(questions())
        await until(lambda: decider.count >= ROOM)
        await asyncio.sleep(0.5)
        assert decider.count <= 2 * ROOM
        answers = [answer.request_id async for answer in call]
    assert sorted(answers) == sorted(f"r{number}" for number in range(most))


async def test_what_cannot_be_afforded_is_refused_by_name() -> None:
    decider = CountingDecider()
    decider.crowded = True
    async with served(decider) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Evaluate(question(1).request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("OVERLOADED", "posgate.dev")
    assert info.metadata["remedy"]


async def test_a_caller_that_goes_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    decider = CountingDecider()

    async def questions() -> AsyncIterator[pb.EvaluateStreamRequest]:
        for number in range(2 * ROOM):
            yield question(number)
        await asyncio.Event().wait()

    async with served(decider) as stub:
        idle = len(asyncio.all_tasks())
        for stuck in (False, True):
            if stuck:
                decider.stuck.clear()
            before = decider.count
            call = stub.EvaluateStream(questions())
            await until(lambda before=before: decider.count >= before + ROOM)  # type: ignore[misc]
            if not stuck:
                await anext(aiter(call))
            call.cancel()
            gc.collect()
            await until(lambda: len(asyncio.all_tasks()) <= idle)
    assert caplog.records == []
