"""What both processes share: counted calls, log lines, and certificates that follow their files."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from gateway import logs
from gateway.api.interceptors import MetricsInterceptor
from gateway.tls import TlsFilesError, certificate_not_after, check_files, server_credentials
from tests.control.store import Store
from tests.control.test_cli import no_certificate, other_key

Context = grpc.aio.ServicerContext[Any, Any]


async def unary(request: bytes, context: Context) -> bytes:
    if request == b"refuse":
        await context.abort(grpc.StatusCode.NOT_FOUND, "no")
    if request == b"break":
        raise RuntimeError("broken")
    if request == b"set":
        context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
    return request


async def counting(request: bytes, context: Context) -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"%d" % number
    if request == b"refuse":
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "no")


async def echo(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def gather(requests: AsyncIterator[bytes], context: Context) -> bytes:
    return b"".join([request async for request in requests])


@asynccontextmanager
async def counted() -> AsyncIterator[tuple[Any, CollectorRegistry]]:
    registry = CollectorRegistry()
    server = grpc.aio.server(interceptors=[MetricsInterceptor(registry)])
    handlers: dict[str, Any] = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Counting": grpc.unary_stream_rpc_method_handler(counting),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
        "Gather": grpc.stream_unary_rpc_method_handler(gather),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel, registry
    finally:
        await server.stop(None)


def handled(registry: CollectorRegistry, method: str, kind: str, code: str) -> float:
    labels = {"grpc_service": "a.B", "grpc_method": method, "grpc_type": kind, "grpc_code": code}
    return registry.get_sample_value("grpc_server_handled_total", labels) or 0.0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"fine", "OK"),
        (b"refuse", "NOT_FOUND"),
        (b"break", "UNKNOWN"),
        (b"set", "RESOURCE_EXHAUSTED"),
    ],
)
async def test_a_call_is_counted_by_what_became_of_it(body: bytes, code: str) -> None:
    async with counted() as (channel, registry):
        call = channel.unary_unary("/a.B/Unary")
        for _ in range(2):
            if code == "OK":
                assert await call(body) == body
            else:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call(body)
                assert caught.value.code().name == code
        assert handled(registry, "Unary", "unary", code) == 2
        labels = {"grpc_service": "a.B", "grpc_method": "Unary", "grpc_type": "unary"}
        assert registry.get_sample_value("grpc_server_started_total", labels) == 2
        assert registry.get_sample_value("grpc_server_handling_seconds_count", labels) == 2


async def test_streams_are_counted_and_pass_through() -> None:
    async with counted() as (channel, registry):
        assert [piece async for piece in channel.unary_stream("/a.B/Counting")(b"")] == [
            b"0",
            b"1",
            b"2",
        ]
        with pytest.raises(grpc.aio.AioRpcError):
            [piece async for piece in channel.unary_stream("/a.B/Counting")(b"refuse")]
        both = channel.stream_stream("/a.B/Echo")(iter([b"x", b"y"]))
        assert [piece async for piece in both] == [b"x", b"y"]
        assert await channel.stream_unary("/a.B/Gather")(iter([b"x", b"y"])) == b"xy"
        assert handled(registry, "Counting", "server_stream", "OK") == 1
        assert handled(registry, "Counting", "server_stream", "OUT_OF_RANGE") == 1
        assert handled(registry, "Echo", "bidi_stream", "OK") == 1
        assert handled(registry, "Gather", "client_stream", "OK") == 1


async def test_an_unknown_method_stays_unknown() -> None:
    async with counted() as (channel, _):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/a.B/Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def record(*, failed: bool = False) -> logging.LogRecord:
    error = None
    if failed:
        try:
            int("why")
        except ValueError:
            error = sys.exc_info()
    made = logging.LogRecord("gateway.x", logging.WARNING, "x.py", 1, "%s: ä\n2", ("one",), error)
    made.created, made.msecs = 0.0, 7.0
    return made


def test_a_json_line_is_one_line_with_every_fact() -> None:
    line = logs.JsonLines("control").format(record(failed=True))
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("error").endswith("'why'")
    assert found == {
        "time": "1970-01-01T00:00:00.007Z",
        "level": "WARNING",
        "process": "control",
        "logger": "gateway.x",
        "message": "one: ä\n2",
    }


def test_a_text_line_names_time_level_and_process() -> None:
    line = logs.TextLines("serving").format(record())
    assert line.startswith("1970-01-01T00:00:00.007Z WARNING serving gateway.x: one: ")


def test_files_that_do_not_fit_are_refused_at_the_start(tmp_path: Any) -> None:
    store = Store.make(tmp_path)
    check_files(store.config.tls)
    assert certificate_not_after(store.config.tls.certificate).tzinfo is not None
    other_key(store)
    with pytest.raises(TlsFilesError, match="is not the key"):
        server_credentials(store.config.tls)
    no_certificate(store)
    with pytest.raises(TlsFilesError, match="cannot be read"):
        server_credentials(store.config.tls)
    with pytest.raises(TlsFilesError, match="is not a PEM certificate"):
        certificate_not_after(store.config.tls.key)


async def test_a_renewal_that_does_not_fit_leaves_the_old_certificate_in_force(
    tmp_path: Any,
) -> None:
    store = Store.make(tmp_path)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(())
    port = server.add_secure_port("127.0.0.1:0", server_credentials(store.config.tls))
    await server.start()
    other_key(store)
    async with store.register(f"127.0.0.1:{port}") as opened:
        channel: Any = opened
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/a.B/Nothing")(b"", timeout=5)
    await server.stop(None)
    # The handshake went well: it is the method that is not there.
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
