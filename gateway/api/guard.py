"""The outermost edge of a call: what is no request, and what nobody foresaw.

Reads the request inside a handler of ours instead of in gRPC's own code, so that bytes that
are no message get a named refusal, and so does a defect: never text of Python's, never a
traceback for each call.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import DecodeError

from gateway.api.statuses import abort, bad_field, failed

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    # Generic in the stubs alone.
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]


class GuardInterceptor(grpc.aio.ServerInterceptor):
    """Guards every unary method of a server; others pass as they are."""

    def __init__(self) -> None:
        self._guarded: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, guarded; an unknown method stays unknown."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.response_streaming:
            return handler
        method = handler_call_details.method
        known = self._guarded.get(method)
        # Generated code returns the same handler object on every call: guard it once.
        if known is None or known[0] is not handler:
            known = self._guarded[method] = (handler, _guard(handler, method))
        return known[1]


def _guard(handler: Handler, method: str) -> Handler:
    read = handler.request_deserializer
    inner = cast(Any, handler.unary_unary)

    async def behaviour(payload: bytes, context: Context) -> Any:
        try:
            request = read(payload) if read else payload
        except DecodeError:
            await abort(context, bad_field("request", "cannot be read", "send posgate.v1"))
        try:
            return await inner(request, context)
        except (grpc.RpcError, grpc.aio.AbortError):
            raise
        except Exception:
            logger.exception("%s failed", method)
            await abort(context, failed())

    return grpc.unary_unary_rpc_method_handler(
        cast(Any, behaviour), response_serializer=handler.response_serializer
    )
