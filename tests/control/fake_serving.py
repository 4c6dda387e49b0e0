"""The serving process as control sees it: the whole protocol, nothing behind it."""

# ruff: noqa: N802, ASYNC110, ASYNC240 - the contract's names; polling and short file calls

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from posgate.box.v1 import serving_pb2 as pb
from posgate.box.v1.serving_pb2_grpc import (
    ServingControlServiceServicer,
    add_ServingControlServiceServicer_to_server,
)
from posgate.v1 import decision_pb2

Context = grpc.aio.ServicerContext[Any, Any]


class FakeServing(ServingControlServiceServicer):
    """Executes every order and writes down its name."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.orders: list[str] = []
        self.held: dict[str, pb.ServedArtifact] = {}
        self.active: dict[tuple[str, str], str] = {}
        self.redeemed: set[str] = set()
        self.redemption_cursor = 0
        self.redemption_puts = 0
        self.log: dict[tuple[int, str], tuple[int, int]] = {}
        self.store_log_cursor = 0
        self.answers: list[str] = []
        self.complete = False
        self.refused: set[str] = set()
        self.degrade_reasons: list[str] = []
        # Closed: a model's canary takes its time.
        self.gate = asyncio.Event()
        self.gate.set()
        self.mode = decision_pb2.MODE_LOCAL_ONLY

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        artifacts = []
        for digest, artifact in self.held.items():
            active = self.active.get((artifact.kind, artifact.name)) == digest
            state = pb.ARTIFACT_STATE_ACTIVE if active else pb.ARTIFACT_STATE_STAGED
            shown = pb.ServedArtifact(state=state)
            shown.MergeFrom(artifact)
            shown.state = state
            artifacts.append(shown)
        return pb.GetStatusResponse(
            epoch=self.epoch,
            ready=self.complete and any(kind == "rules" for kind, _ in self.active),
            answers_loaded=self.complete,
            artifacts=artifacts,
            mode=self.mode,
            degrade_reasons=self.degrade_reasons,
            redemption_cursor=self.redemption_cursor,
            store_log_cursor=self.store_log_cursor,
        )

    async def Stage(self, request: pb.StageRequest, context: Context) -> pb.StageResponse:
        assert Path(request.path).exists()
        self.orders.append(f"stage {request.artifact.kind} {request.artifact.version}")
        self.held[request.artifact.digest] = request.artifact
        return pb.StageResponse()

    async def Canary(self, request: pb.CanaryRequest, context: Context) -> pb.CanaryResponse:
        artifact = self.held[request.digest]
        self.orders.append(f"canary {artifact.kind} {artifact.version}")
        if artifact.kind == "model":
            await self.gate.wait()
        if artifact.version in self.refused:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "golden 0 came out wrong")
        return pb.CanaryResponse(slowest_us=10)

    async def Flip(self, request: pb.FlipRequest, context: Context) -> pb.FlipResponse:
        artifact = self.held[request.digest]
        self.orders.append(f"flip {artifact.kind} {artifact.version}")
        previous = self.active.get((artifact.kind, artifact.name), "")
        self.active[artifact.kind, artifact.name] = request.digest
        return pb.FlipResponse(previous_digest=previous)

    async def Unload(self, request: pb.UnloadRequest, context: Context) -> pb.UnloadResponse:
        artifact = self.held.pop(request.digest, None)
        if artifact is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "not held")
        self.orders.append(f"unload {artifact.kind} {artifact.version}")
        return pb.UnloadResponse()

    async def PutRedemptions(
        self, request: pb.PutRedemptionsRequest, context: Context
    ) -> pb.PutRedemptionsResponse:
        self.redemption_puts += 1
        if request.reset:
            self.redeemed.clear()
        if request.reset or request.changes:
            self.orders.append("redemptions")
        for change in request.changes:
            (self.redeemed.add if change.redeemed else self.redeemed.discard)(change.redemption_key)
        self.redemption_cursor = request.cursor
        return pb.PutRedemptionsResponse()

    async def PutStoreLog(
        self, request: pb.PutStoreLogRequest, context: Context
    ) -> pb.PutStoreLogResponse:
        if request.reset:
            self.log.clear()
        self.orders.append("store log")
        for row in request.rows:
            counts = (row.line_count, row.discounted_line_count)
            self.log[row.business_day, row.item_id] = counts
        self.store_log_cursor = request.cursor
        return pb.PutStoreLogResponse()

    async def PutRecentAnswers(
        self, request: pb.PutRecentAnswersRequest, context: Context
    ) -> pb.PutRecentAnswersResponse:
        self.answers += [answer.request_id for answer in request.answers]
        if request.complete:
            self.orders.append("answers")
            self.complete = True
        return pb.PutRecentAnswersResponse()

    async def ForceMode(
        self, request: pb.ForceModeRequest, context: Context
    ) -> pb.ForceModeResponse:
        self.orders.append(f"force {decision_pb2.Mode.Name(request.mode)} {request.reason}")
        return pb.ForceModeResponse()


@asynccontextmanager
async def fake_serving(path: Path, epoch: str = "e1") -> AsyncIterator[FakeServing]:
    """Answer at ``path`` until the end of the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    serving = FakeServing(epoch)
    server = grpc.aio.server()
    add_ServingControlServiceServicer_to_server(serving, server)
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield serving
    finally:
        await server.stop(None)


async def until(true: Callable[[], bool], patience_s: float = 10.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(patience_s):
        while not true():
            await asyncio.sleep(0.01)
