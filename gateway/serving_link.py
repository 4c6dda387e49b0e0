"""Control's side of the unix socket to serving: every order with a deadline.

Owns the deadlines and the translation. Refuses to try again: ``serving_driver`` does, when
serving has said how it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import grpc

from cloud_sync.errors import HostRefusedError, HostUnavailableError
from cloud_sync.records import RedemptionChanges, StoredAnswer, StoreLogRow
from posgate.box.v1 import serving_pb2 as pb
from posgate.box.v1.serving_pb2_grpc import ServingControlServiceStub
from posgate.v1 import bundle_pb2, decision_pb2
from terminal_client.codec import instant_to_pb
from terminal_client.core.modes import Mode
from terminal_client.core.trust import Release

STATUS_S = 1.0
LOAD_S = 60.0
ORDER_S = 5.0
_AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)
# A box that restarts in a second must be found again within a second.
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    # A path, not an authority: a proxy setting of the machine must not apply.
    ("grpc.enable_http_proxy", 0),
)

A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingStatus:
    """How serving is. ``serving`` are the digests that decide, by kind and name."""

    epoch: str
    ready: bool
    answers_loaded: bool
    mode: Mode
    degrade_reasons: tuple[str, ...]
    serving: dict[tuple[str, str], str]
    held: tuple[str, ...]
    redemption_cursor: int
    store_log_cursor: int


class ServingLink:
    """One channel to the serving process; it may come and go."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Use ``open``."""
        self._stub = ServingControlServiceStub(channel)

    @classmethod
    @asynccontextmanager
    async def open(cls, socket: Path) -> AsyncIterator[Self]:
        """Open the channel; nothing is connected before the first call."""
        async with grpc.aio.insecure_channel(f"unix:{socket}", options=_OPTIONS) as channel:
            yield cls(channel)

    async def status(self) -> ServingStatus:
        """Ask how serving is. Raises: HostUnavailableError."""
        answer = await _call(self._stub.GetStatus, pb.GetStatusRequest(), STATUS_S)
        return ServingStatus(
            epoch=answer.epoch,
            ready=answer.ready,
            answers_loaded=answer.answers_loaded,
            mode=_mode(answer.mode),
            degrade_reasons=tuple(answer.degrade_reasons),
            serving={
                (artifact.kind, artifact.name): artifact.digest
                for artifact in answer.artifacts
                if artifact.state == pb.ARTIFACT_STATE_ACTIVE
            },
            held=tuple(artifact.digest for artifact in answer.artifacts),
            redemption_cursor=answer.redemption_cursor,
            store_log_cursor=answer.store_log_cursor,
        )

    async def stage(self, release: Release, path: Path) -> None:
        """As ``ArtifactHost``."""
        artifact = pb.ServedArtifact(
            kind=release.kind, name=release.name, version=release.version, digest=release.digest
        )
        await _call(self._stub.Stage, pb.StageRequest(artifact=artifact, path=str(path)), LOAD_S)

    async def canary(self, digest: str) -> None:
        """As ``ArtifactHost``."""
        await _call(self._stub.Canary, pb.CanaryRequest(digest=digest), LOAD_S)

    async def flip(self, digest: str) -> None:
        """As ``ArtifactHost``."""
        await _call(self._stub.Flip, pb.FlipRequest(digest=digest), ORDER_S)

    async def unload(self, digest: str) -> None:
        """As ``ArtifactHost``."""
        await _call(self._stub.Unload, pb.UnloadRequest(digest=digest), ORDER_S)

    async def put_redemptions(self, found: RedemptionChanges, as_of: datetime) -> None:
        """Replace (``found.reset``) or extend the redemption view."""
        request = pb.PutRedemptionsRequest(
            reset=found.reset,
            changes=[
                bundle_pb2.RedemptionChange(
                    redemption_key=change.redemption_key, redeemed=change.redeemed
                )
                for change in found.changes
            ],
            cursor=found.next_cursor,
            as_of_time=instant_to_pb(as_of),
        )
        await _call(self._stub.PutRedemptions, request, ORDER_S)

    async def put_store_log(self, rows: Sequence[StoreLogRow], cursor: int, *, reset: bool) -> None:
        """Replace rows of the store's log; ``reset`` drops what is there first."""
        request = pb.PutStoreLogRequest(
            reset=reset,
            rows=[
                pb.StoreLogRow(
                    business_day=row.business_day,
                    item_id=row.item_id,
                    line_count=row.line_count,
                    discounted_line_count=row.discounted_line_count,
                )
                for row in rows
            ],
            cursor=cursor,
        )
        await _call(self._stub.PutStoreLog, request, ORDER_S)

    async def put_answers(self, answers: Sequence[StoredAnswer], *, complete: bool) -> None:
        """Give answers of an earlier life, oldest first."""
        request = pb.PutRecentAnswersRequest(
            answers=[
                pb.RecentAnswer(
                    request_id=answer.request_id,
                    request_sha256=answer.request_sha256,
                    response=answer.response,
                    decision_id=answer.decision_id,
                    decided_time=instant_to_pb(answer.decided),
                )
                for answer in answers
            ],
            complete=complete,
        )
        await _call(self._stub.PutRecentAnswers, request, ORDER_S)

    async def force_mode(self, mode: Mode | None, reason: str) -> None:
        """Order a mode; None takes the order back."""
        number = decision_pb2.MODE_UNSPECIFIED if mode is None else int(mode)
        request = pb.ForceModeRequest(mode=decision_pb2.Mode.ValueType(number), reason=reason)
        await _call(self._stub.ForceMode, request, ORDER_S)


def _mode(number: int) -> Mode:
    """Read a mode; one that this version does not know is the lowest."""
    try:
        return Mode(number)
    except ValueError:
        return Mode.EMERGENCY


async def _call(method: Callable[..., Awaitable[A]], request: Any, patience_s: float) -> A:
    try:
        return await method(request, timeout=patience_s)
    except grpc.aio.AioRpcError as exc:
        told = exc.details() or exc.code().name
        if exc.code() in _AWAY:
            raise HostUnavailableError(f"serving does not answer: {told}") from exc
        raise HostRefusedError(told) from exc
