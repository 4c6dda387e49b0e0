"""TerminalService: introduces registers and box, and takes what registers decided alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import grpc
from google.protobuf.duration_pb2 import Duration

from cloud_sync.errors import StoreUnavailableError
from cloud_sync.records import Batch, BatchResult, Gap
from gateway.api import statuses
from gateway.api.local_decisions import read_upload
from gateway.terminals import HEARTBEAT_INTERVAL, Exercised, Terminal, Terminals
from posgate.v1 import decision_pb2
from posgate.v1 import terminal_pb2 as pb
from posgate.v1.terminal_pb2_grpc import TerminalServiceServicer
from terminal_client.codec import RequestError, instant_to_pb
from terminal_client.codec.basket_reader import instant_from_pb
from terminal_client.core.modes import Mode

Context = grpc.aio.ServicerContext[Any, Any]

_IDENTIFIER = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFacts:
    """What the box says of itself at this moment. Targets are ``host:port``."""

    store_id: str
    time_zone: str
    serving_target: str
    control_target: str
    mode: Mode
    fallback_digest: str
    workflows: tuple[str, ...]
    capabilities: tuple[str, ...]


class LocalDecisions(Protocol):
    """Where uploads go: the inbox."""

    async def accept_batch(self, batch: Batch) -> BatchResult:
        """Store a batch durably."""
        ...


class RedemptionCursor(Protocol):
    """The redemption view's cursor, as ``Archive`` reads it."""

    async def redemption_cursor(self) -> int:
        """Return it."""
        ...


class Counts(Protocol):
    """What is counted of registers, as ``ControlMetrics`` does."""

    def terminal_decided(self, reason: str) -> None:
        """Count a decision a register made itself."""
        ...

    def exercised(self, agreed: int, differed: int) -> None:
        """Count comparisons of a register's own answers with the box's."""
        ...

    def lost(self, gaps: Sequence[Gap]) -> None:
        """Count decisions a register had to drop."""
        ...


class TerminalService(TerminalServiceServicer):
    """Translates; the inbox stores, ``Terminals`` remembers."""

    def __init__(
        self,
        *,
        facts: Callable[[], BoxFacts],
        terminals: Terminals,
        decisions: LocalDecisions,
        redemptions: RedemptionCursor,
        counts: Counts,
        clock: Callable[[], datetime],
    ) -> None:
        self._facts = facts
        self._terminals = terminals
        self._decisions = decisions
        self._redemptions = redemptions
        self._counts = counts
        self._clock = clock

    async def Hello(  # noqa: N802 - the contract's name
        self, request: pb.HelloRequest, context: Context
    ) -> pb.HelloResponse:
        """Introduce the register and the box."""
        await _require_workstation(request.workstation_id, context)
        self._terminals.introduce(
            request.workstation_id,
            client_version=request.client_version[:64],
            fallback_digest=request.fallback_digest[:71],
            terminal_time=await _terminal_time(request, context),
        )
        facts = self._facts()
        interval = Duration()
        interval.FromTimedelta(HEARTBEAT_INTERVAL)
        return pb.HelloResponse(
            store_id=facts.store_id,
            time_zone=facts.time_zone,
            gateway_time=instant_to_pb(self._clock()),
            mode=decision_pb2.Mode.ValueType(facts.mode),
            endpoints=[
                pb.Endpoint(target=facts.serving_target, role=pb.ENDPOINT_ROLE_SERVING),
                pb.Endpoint(target=facts.control_target, role=pb.ENDPOINT_ROLE_CONTROL),
            ],
            heartbeat_interval=interval,
            fallback_digest=facts.fallback_digest,
            capabilities=facts.capabilities,
            workflows=facts.workflows,
        )

    async def Heartbeat(  # noqa: N802 - the contract's name
        self, request: pb.HeartbeatRequest, context: Context
    ) -> pb.HeartbeatResponse:
        """Note how the register is; say how the box is."""
        await _require_workstation(request.workstation_id, context)
        reported = Terminal(
            workstation_id=request.workstation_id,
            heard=self._clock(),
            fallback_digest=request.fallback_digest[:71],
            spooled_decisions=max(request.spooled_decisions, 0),
            fallback_decisions=max(request.fallback_decisions, 0),
            compared_decisions=max(request.compared_decisions, 0),
            agreed_decisions=max(request.agreed_decisions, 0),
        )
        found: Exercised = self._terminals.beat(reported, await _terminal_time(request, context))
        self._counts.exercised(found.agreed, found.differed)
        try:
            cursor = await self._redemptions.redemption_cursor()
        except StoreUnavailableError:
            await statuses.abort(context, statuses.disk_refuses())
        facts = self._facts()
        return pb.HeartbeatResponse(
            mode=decision_pb2.Mode.ValueType(facts.mode),
            fallback_digest=facts.fallback_digest,
            gateway_time=instant_to_pb(self._clock()),
            redemption_cursor=cursor,
        )

    async def UploadLocalDecisions(  # noqa: N802 - the contract's name
        self, request: pb.UploadLocalDecisionsRequest, context: Context
    ) -> pb.UploadLocalDecisionsResponse:
        """Store a batch; every record is settled when the answer is sent."""
        await _require_workstation(request.workstation_id, context)
        try:
            batch = read_upload(request)
        except RequestError as error:
            await statuses.abort(
                context, statuses.bad_field(error.field, error.problem, error.remedy)
            )
        try:
            result = await self._decisions.accept_batch(batch)
        except StoreUnavailableError:
            await statuses.abort(context, statuses.disk_refuses())
        for decision in result.stored:
            self._counts.terminal_decided(decision.fallback_reason)
        self._counts.lost(result.gaps)
        return pb.UploadLocalDecisionsResponse(
            accepted_through=max(
                (
                    *(decision.local_sequence for decision in request.decisions),
                    *(gap.last_local_sequence for gap in request.gaps),
                ),
                default=0,
            ),
            duplicate_count=result.duplicate_count,
            rejected=[
                pb.RejectedDecision(local_sequence=poison.sequence, reason=poison.reason)
                for poison in batch.poison
            ],
        )


async def _require_workstation(workstation_id: str, context: Context) -> None:
    if not _IDENTIFIER.match(workstation_id):
        await statuses.abort(
            context,
            statuses.bad_field(
                "workstation_id", "is malformed", "send 1 to 64 characters of [A-Za-z0-9._-]"
            ),
        )


async def _terminal_time(
    request: pb.HelloRequest | pb.HeartbeatRequest, context: Context
) -> datetime | None:
    if not request.HasField("terminal_time"):
        return None
    try:
        return instant_from_pb(request.terminal_time, "terminal_time")
    except RequestError as error:
        await statuses.abort(context, statuses.bad_field(error.field, error.problem, error.remedy))
