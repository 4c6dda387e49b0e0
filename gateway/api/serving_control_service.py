"""``posgate.box.v1.ServingControlService``: what control orders over the unix socket.

Translates, calls, translates back. Reached by this box's own control process only.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.rpc import code_pb2

from gateway.api.statuses import RefusalError, abort
from gateway.decisions.engine import DecisionEngine
from gateway.decisions.holdings import ArtifactRefusedError, UnknownArtifactError
from gateway.decisions.recent_answers import StoredAnswer
from gateway.degrade import DegradeMonitor
from gateway.features.store_log import LogRow
from gateway.metrics import ServingMetrics
from posgate.box.v1 import serving_pb2 as pb
from posgate.box.v1.serving_pb2_grpc import ServingControlServiceServicer
from posgate.v1 import decision_pb2
from terminal_client.core.modes import Mode
from terminal_client.core.redemptions import RedemptionView

Context = grpc.aio.ServicerContext[Any, Any]
_KINDS = ("rules", "model", "features")
_FORCE_REASONS = ("OPERATOR_FORCED", "DRILL")


class Readiness:
    """Whether serving may say ready: it has rules, and the answers of its earlier lives.

    A box without control must still serve lanes: rules alone do once control has given no
    order for ``patience_s``. And whatever control is busy with, they do ``longest_s`` after
    the rules have come.
    """

    def __init__(
        self,
        has_rules: Callable[[], bool],
        now_s: Callable[[], float],
        patience_s: float = 5.0,
        longest_s: float = 15.0,
    ) -> None:
        """``now_s`` is monotonic seconds."""
        self._has_rules = has_rules
        self._now_s = now_s
        self._patience_s = patience_s
        self._longest_s = longest_s
        self._heard_s = now_s()
        self._ruled_s: float | None = None
        self._given_up = False
        self.answers_loaded = False

    def heard(self) -> None:
        """Note that control is at work: it gave an order, or one has been carried out."""
        self._heard_s = self._now_s()

    def __call__(self) -> bool:
        """Tell whether it may; once it may, no order takes that back."""
        if not self._has_rules():
            return False
        now_s = self._now_s()
        if self._ruled_s is None:
            self._ruled_s = now_s
        silent = now_s - self._heard_s >= self._patience_s
        self._given_up |= silent or now_s - self._ruled_s >= self._longest_s
        return self.answers_loaded or self._given_up


class ServingControlService(ServingControlServiceServicer):
    """Executes control's orders on the engine."""

    def __init__(
        self,
        *,
        epoch: str,
        engine: DecisionEngine,
        degrade: DegradeMonitor,
        metrics: ServingMetrics,
        ready: Readiness,
        moved: Callable[[], None],
    ) -> None:
        """``moved`` is called when what decides, or an ordered mode, has changed."""
        self._epoch = epoch
        self._engine = engine
        self._degrade = degrade
        self._metrics = metrics
        self._ready = ready
        self._moved = moved
        self._redeemed: set[str] = set()
        self._redemption_cursor = 0

    async def GetStatus(  # noqa: N802
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        """Say how serving is."""
        return pb.GetStatusResponse(
            epoch=self._epoch,
            ready=self._ready(),
            answers_loaded=self._ready.answers_loaded,
            artifacts=[
                pb.ServedArtifact(
                    kind=artifact.kind,
                    name=artifact.name,
                    version=artifact.version,
                    digest=artifact.digest,
                    state=pb.ArtifactState.ValueType(artifact.state),
                )
                for artifact in self._engine.holdings
            ],
            mode=decision_pb2.Mode.ValueType(self._degrade.mode),
            degrade_reasons=sorted(self._degrade.reasons),
            redemption_cursor=self._redemption_cursor,
            store_log_cursor=self._engine.log.cursor,
        )

    async def Stage(  # noqa: N802
        self, request: pb.StageRequest, context: Context
    ) -> pb.StageResponse:
        """Load beside the active one."""
        self._ready.heard()
        artifact = request.artifact
        if artifact.kind not in _KINDS:
            await abort(context, _refused("SCHEMA_MISMATCH", "artifact.kind is unknown"))
        try:
            await self._engine.holdings.stage(artifact.kind, artifact.digest, Path(request.path))
        except ArtifactRefusedError as exc:
            await abort(context, _refused(exc.reason, str(exc)))
        finally:
            self._ready.heard()
        self._moved()
        return pb.StageResponse()

    async def Canary(  # noqa: N802
        self, request: pb.CanaryRequest, context: Context
    ) -> pb.CanaryResponse:
        """Run the golden vectors."""
        self._ready.heard()
        try:
            passed = await self._engine.holdings.canary(request.digest)
        except (UnknownArtifactError, ArtifactRefusedError) as exc:
            self._metrics.canary(request.digest[:15], "", passed=False)
            await _refuse(context, exc)
        if passed.provider:
            self._metrics.canary(request.digest[:15], passed.provider, passed=True)
        self._moved()
        return pb.CanaryResponse(slowest_us=passed.slowest_us, provider=passed.provider)

    async def Flip(self, request: pb.FlipRequest, context: Context) -> pb.FlipResponse:  # noqa: N802
        """Let it decide."""
        self._ready.heard()
        try:
            previous = self._engine.holdings.flip(request.digest)
        except (UnknownArtifactError, ArtifactRefusedError) as exc:
            await _refuse(context, exc)
        # What was loaded stays for long: the collector need not look at it again.
        gc.freeze()
        self._moved()
        return pb.FlipResponse(previous_digest=previous)

    async def Unload(  # noqa: N802
        self, request: pb.UnloadRequest, context: Context
    ) -> pb.UnloadResponse:
        """Let go of what does not decide."""
        try:
            await self._engine.holdings.unload(request.digest)
        except (UnknownArtifactError, ArtifactRefusedError) as exc:
            await _refuse(context, exc)
        self._moved()
        return pb.UnloadResponse()

    async def PutRedemptions(  # noqa: N802
        self, request: pb.PutRedemptionsRequest, context: Context
    ) -> pb.PutRedemptionsResponse:
        """Replace or extend the redemption view."""
        self._ready.heard()
        keys = set() if request.reset else self._redeemed
        for change in request.changes:
            if change.redeemed:
                keys.add(change.redemption_key)
            else:
                keys.discard(change.redemption_key)
        self._redeemed, self._redemption_cursor = keys, request.cursor
        as_of = request.as_of_time.ToDatetime(UTC) if request.HasField("as_of_time") else None
        self._engine.redemptions = RedemptionView(keys=keys, as_of=as_of)
        return pb.PutRedemptionsResponse()

    async def PutStoreLog(  # noqa: N802
        self, request: pb.PutStoreLogRequest, context: Context
    ) -> pb.PutStoreLogResponse:
        """Replace rows of the store's own log."""
        self._ready.heard()
        rows = [
            LogRow(row.business_day, row.item_id, row.line_count, row.discounted_line_count)
            for row in request.rows
        ]
        self._engine.log.put(rows, request.cursor, reset=request.reset)
        return pb.PutStoreLogResponse()

    async def PutRecentAnswers(  # noqa: N802
        self, request: pb.PutRecentAnswersRequest, context: Context
    ) -> pb.PutRecentAnswersResponse:
        """Take answers of an earlier life; one given since stays as it is."""
        self._ready.heard()
        for answer in request.answers:
            self._engine.answers.restore(
                StoredAnswer(
                    request_id=answer.request_id,
                    request_sha256=answer.request_sha256,
                    response=answer.response,
                    decision_id=answer.decision_id,
                    decided=_instant(answer),
                )
            )
        if request.complete:
            self._ready.answers_loaded = True
            self._moved()
        return pb.PutRecentAnswersResponse()

    async def ForceMode(  # noqa: N802
        self, request: pb.ForceModeRequest, context: Context
    ) -> pb.ForceModeResponse:
        """Order a mode, or take the order back."""
        known = {mode.value for mode in Mode}
        if request.mode and (request.mode not in known or request.reason not in _FORCE_REASONS):
            await abort(context, _refused("SCHEMA_MISMATCH", "mode or reason is unknown"))
        self._degrade.force(Mode(request.mode) if request.mode else None, request.reason)
        self._moved()
        return pb.ForceModeResponse()


def _instant(answer: pb.RecentAnswer) -> datetime:
    return answer.decided_time.ToDatetime(UTC)


async def _refuse(context: Context, exc: UnknownArtifactError | ArtifactRefusedError) -> NoReturn:
    if isinstance(exc, ArtifactRefusedError):
        await abort(context, _refused(exc.reason, str(exc)))
    await abort(context, RefusalError(code_pb2.NOT_FOUND, "ARTIFACT_UNKNOWN", "it is not held"))


def _refused(reason: str, message: str) -> RefusalError:
    return RefusalError(code_pb2.FAILED_PRECONDITION, reason, message)
