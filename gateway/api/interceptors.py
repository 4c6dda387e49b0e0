"""Counts every call of a server under the names that ready-made gRPC dashboards know.

Owns the go-grpc-prometheus names. Refuses labels that tell callers apart. Works with an
ordinary registry and with prometheus_client's multi-process files alike.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
if TYPE_CHECKING:
    # Generic in the stubs alone.
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]


class ServerMetrics:
    """The four metrics of a server; one instance per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.started = Counter(
            "grpc_server_started", "Calls started on the server.", _LABELS, registry=registry
        )
        self.handled = Counter(
            "grpc_server_handled",
            "Calls completed on the server, whatever the outcome.",
            (*_LABELS, "grpc_code"),
            registry=registry,
        )
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from the start of a call to its end on the server.",
            _LABELS,
            buckets=_BUCKETS_S,
            registry=registry,
        )

    def method(self, service: str, method: str, kind: str) -> MethodMetrics:
        """Return the metrics of one method, labels bound once."""
        return MethodMetrics(self, (kind, service, method))


class MethodMetrics:
    """The metrics of one method."""

    def __init__(self, metrics: ServerMetrics, labels: tuple[str, str, str]) -> None:
        self._started = metrics.started.labels(*labels)
        self._seconds = metrics.seconds.labels(*labels)
        self._handled = metrics.handled
        self._labels = labels
        self._by_code: dict[str, Counter] = {}

    def begin(self) -> float:
        """Count a start; return the moment, to be given to ``end``."""
        self._started.inc()
        return perf_counter()

    def end(self, begun_s: float, code: str) -> None:
        """Count an end with the name of its status code, such as ``OK``."""
        self._seconds.observe(perf_counter() - begun_s)
        counter = self._by_code.get(code)
        if counter is None:
            counter = self._by_code[code] = self._handled.labels(*self._labels, code)
        counter.inc()


class MetricsInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every unary and streaming method of a server with its metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._metrics = ServerMetrics(registry)
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, wrapped; an unknown method stays unknown."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        known = self._wrapped.get(handler_call_details.method)
        # Generated code returns the same handler object on every call: wrap it once.
        if known is not None and known[0] is handler:
            return known[1]
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        wrapped = _wrap(handler, self._metrics.method(service, method, _kind(handler)))
        self._wrapped[handler_call_details.method] = (handler, wrapped)
        return wrapped


def _kind(handler: Handler) -> str:
    if handler.request_streaming:
        return "bidi_stream" if handler.response_streaming else "client_stream"
    return "server_stream" if handler.response_streaming else "unary"


def _wrap(handler: Handler, metrics: MethodMetrics) -> Handler:
    serializers = {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
    if handler.response_streaming:
        inner = handler.stream_stream if handler.request_streaming else handler.unary_stream
        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        return make(cast(Any, _streaming(inner, metrics)), **serializers)
    inner = handler.stream_unary if handler.request_streaming else handler.unary_unary
    make = (
        grpc.stream_unary_rpc_method_handler
        if handler.request_streaming
        else grpc.unary_unary_rpc_method_handler
    )
    return make(cast(Any, _single(inner, metrics)), **serializers)


def _single(inner: Any, metrics: MethodMetrics) -> Callable[..., Awaitable[Any]]:
    async def behaviour(request: Any, context: Context) -> Any:
        begun_s = metrics.begin()
        code = "UNKNOWN"
        try:
            answer = await inner(request, context)
            code = _code(context)
            return answer
        except BaseException as exc:
            code = _failure(exc, context)
            raise
        finally:
            metrics.end(begun_s, code)

    return behaviour


def _streaming(inner: Any, metrics: MethodMetrics) -> Callable[..., AsyncIterator[Any]]:
    async def behaviour(request: Any, context: Context) -> AsyncIterator[Any]:
        begun_s = metrics.begin()
        code = "UNKNOWN"
        try:
            async for answer in inner(request, context):
                yield answer
            code = _code(context)
        except BaseException as exc:
            code = _failure(exc, context)
            raise
        finally:
            metrics.end(begun_s, code)

    return behaviour


def _code(context: Context) -> str:
    # Annotated as StatusCode; what grpc.aio returns is None while nothing is set, or a number.
    code = cast("grpc.StatusCode | int | None", context.code())
    if code is None:
        return "OK"
    return code.name if isinstance(code, grpc.StatusCode) else _NAMES.get(int(code), "UNKNOWN")


def _failure(exc: BaseException, context: Context) -> str:
    """Name the status a raising handler ends in; the caller's own end cancels it."""
    code = _code(context)
    if code != "OK":
        return code
    return "UNKNOWN" if isinstance(exc, Exception) else "CANCELLED"
