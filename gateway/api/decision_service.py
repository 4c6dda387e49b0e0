"""``posgate.v1.DecisionService``: bytes in, bytes out.

Translates and decides nothing. Requests and answers stay bytes, because the idempotency key
covers the bytes as they came, and a stored answer goes out exactly as it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, Protocol, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2

from gateway.api.statuses import RefusalError, abort, bad_field, to_status
from gateway.decisions.engine import Answer, DeadlineError, OverloadedError
from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import RequestError

logger = logging.getLogger(__name__)

SERVICE = "posgate.v1.DecisionService"
REPLAYED = (("posgate-replayed", "1"),)
_REPLY_MARGIN_S = 0.002
"""Kept back of the caller's deadline for the way home."""
_MOST_AT_ONCE = 64

Context = grpc.aio.ServicerContext[Any, Any]


class Decider(Protocol):
    """The decision engine."""

    async def evaluate(self, raw: bytes, deadline: timedelta | None) -> Answer:
        """Answer a serialized EvaluateRequest.

        Raises: RequestError, DeadlineError, OverloadedError.
        """
        ...

    def decision(self, decision_id: str) -> bytes | None:
        """Return a serialized EvaluateResponse as it stands now."""
        ...


class DecisionService:
    """The three RPCs. ``ready`` gates Evaluate: before, registers decide by themselves."""

    def __init__(self, engine: Decider, ready: Callable[[], bool]) -> None:
        self._engine = engine
        self._ready = ready

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the service for a server; no serializers, so bytes pass through."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Evaluate": grpc.unary_unary_rpc_method_handler(self._evaluate),
                "EvaluateStream": grpc.stream_stream_rpc_method_handler(
                    self._evaluate_stream,
                    request_deserializer=None,
                    response_serializer=pb.EvaluateStreamResponse.SerializeToString,
                ),
                "GetDecision": grpc.unary_unary_rpc_method_handler(
                    self._get_decision,
                    request_deserializer=None,
                    response_serializer=pb.GetDecisionResponse.SerializeToString,
                ),
            },
        )

    async def _evaluate(self, raw: bytes, context: Context) -> bytes:
        try:
            answer = await self._answer(raw, _deadline(context))
        except RefusalError as refusal:
            await abort(context, refusal)
        if answer.replayed:
            context.set_trailing_metadata(REPLAYED)
        return answer.response

    async def _evaluate_stream(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[pb.EvaluateStreamResponse]:
        """Answer each question when it is ready; a failed one fails alone.

        A place is free again once its answer has been taken: who does not read is not read.
        """
        done: asyncio.Queue[pb.EvaluateStreamResponse | None] = asyncio.Queue()
        room = asyncio.Semaphore(_MOST_AT_ONCE)
        answering: set[asyncio.Task[None]] = set()

        async def answer(raw: bytes) -> None:
            done.put_nowait(await self._stream_answer(raw))

        async def read() -> None:
            async for raw in requests:
                await room.acquire()
                task = asyncio.create_task(answer(raw))
                answering.add(task)
                task.add_done_callback(answering.discard)
            await asyncio.gather(*answering)

        # No TaskGroup: a generator whose caller has gone is closed from another task, where
        # a group would take the end for a fault. All that is begun here is cancelled below.
        reading = asyncio.create_task(read())
        reading.add_done_callback(lambda _: done.put_nowait(None))
        try:
            while (response := await done.get()) is not None:
                yield response
                room.release()
            reading.result()
        finally:
            for task in (reading, *answering):
                task.cancel()

    async def _stream_answer(self, raw: bytes) -> pb.EvaluateStreamResponse:
        try:
            request = pb.EvaluateStreamRequest.FromString(raw).request
        except DecodeError:
            refusal = bad_field("request", "is no EvaluateStreamRequest", "send posgate.v1")
            return pb.EvaluateStreamResponse(error=_rpc_status(refusal))
        response = pb.EvaluateStreamResponse(request_id=request.request_id[:64])
        try:
            # Deterministic for equal messages of one build, which is what a repeat is.
            answer = await self._answer(request.SerializeToString(deterministic=True), None)
        except RefusalError as refusal:
            response.error.CopyFrom(_rpc_status(refusal))
        else:
            response.response.MergeFromString(answer.response)
            response.replayed = answer.replayed
        return response

    async def _get_decision(self, raw: bytes, context: Context) -> pb.GetDecisionResponse:
        try:
            decision_id = pb.GetDecisionRequest.FromString(raw).decision_id
        except DecodeError:
            await abort(
                context, bad_field("request", "is no GetDecisionRequest", "send posgate.v1")
            )
        found = self._engine.decision(decision_id)
        if found is None:
            await abort(context, _unknown_decision())
        return pb.GetDecisionResponse(decision=pb.EvaluateResponse.FromString(found))

    async def _answer(self, raw: bytes, deadline: timedelta | None) -> Answer:
        if not self._ready():
            raise _starting()
        try:
            return await self._engine.evaluate(raw, deadline)
        except RequestError as exc:
            raise bad_field(exc.field, exc.problem, exc.remedy) from exc
        except DeadlineError as exc:
            raise _too_late() from exc
        except OverloadedError as exc:
            raise _overloaded() from exc
        except Exception as exc:
            # gRPC would send the exception's own words to the register.
            logger.exception("a request could not be answered")
            raise _defect() from exc


def _deadline(context: Context) -> timedelta | None:
    # The stubs leave out that a call without a deadline has None.
    left_s = cast("float | None", context.time_remaining())
    if left_s is None:
        return None
    return timedelta(seconds=left_s - min(_REPLY_MARGIN_S, left_s / 10))


def _rpc_status(refusal: RefusalError) -> status_pb2.Status:
    metadata = dict(to_status(refusal).trailing_metadata or ())
    return status_pb2.Status.FromString(cast("bytes", metadata["grpc-status-details-bin"]))


def _starting() -> RefusalError:
    return RefusalError(
        code_pb2.UNAVAILABLE,
        "STARTING",
        "the gateway is starting; decide by the rules and come again",
        remedy="decide by the rules and come again",
    )


def _too_late() -> RefusalError:
    return RefusalError(
        code_pb2.DEADLINE_EXCEEDED,
        "DEADLINE_PASSED",
        "the deadline has passed; decide by the rules",
        remedy="allow more time",
    )


def _overloaded() -> RefusalError:
    return RefusalError(
        code_pb2.RESOURCE_EXHAUSTED,
        "OVERLOADED",
        "too many large baskets wait already; decide by the rules",
        remedy="decide by the rules",
    )


def _defect() -> RefusalError:
    return RefusalError(
        code_pb2.INTERNAL,
        "DEFECT",
        "the gateway failed on this request; decide by the rules",
        remedy="report it with the gateway's log",
    )


def _unknown_decision() -> RefusalError:
    return RefusalError(
        code_pb2.NOT_FOUND,
        "DECISION_UNKNOWN",
        "decision_id: no such decision here; it may no longer be kept",
        field="decision_id",
        remedy="ask within 24 hours, at the gateway that decided",
    )
