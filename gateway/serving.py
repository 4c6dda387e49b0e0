"""The data plane's process: composition root.

Owns which concrete classes serve lanes, in which order they open, and the signals. One
event loop; no database, no disk write, no log line per call. Control drives it over a unix
socket; it may be killed at any moment without losing what was answered.

prometheus_client decides when it is first imported whether its values live in shared files.
So what uses it is imported inside ``serve``, after ``prepare`` has named the folder.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from gateway.config import CloudConfig, GatewayConfig, TlsConfig
from gateway.config_file import load_config
from gateway.decisions.deep import DeepTier, NoDeepTier
from gateway.deep_channel import ClientFiles
from gateway.escalation import OipDeepTier
from gateway.inference.onnx import OnnxRuntime
from gateway.journal import JournalWriter
from gateway.tls import server_credentials

if TYPE_CHECKING:
    from gateway.api.serving_control_service import Readiness
    from gateway.decisions.engine import DecisionEngine
    from gateway.metrics import ServingMetrics
    from gateway.watch import Watch

logger = logging.getLogger(__name__)

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SETTLE_S = 1.0
"""How long calls in flight may end after the order to stop."""
_SWITCH_S = 0.0005
"""How long a thread (a large basket) may hold the interpreter before the loop gets it."""
_GC_YOUNGEST = 20_000
_HOUSEHOLD_KEY = "household.key"
_RPCS_PER_PLACE = 16
"""Calls at the door per call that may be decided: those shed, streams and health watches."""
_CONTROL_MESSAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What a caller learns once the doors are open."""

    port: int
    epoch: str


async def serve(
    config: GatewayConfig, stopping: asyncio.Event, started: Callable[[Started], None]
) -> None:
    """Serve lanes until ``stopping`` is set.

    Raises:
        JournalError: the ring cannot be had.
        TlsFilesError: the certificate cannot be used.
        RuntimeError: the port or the socket is taken.
    """
    epoch = secrets.token_hex(6)
    async with AsyncExitStack() as stack:
        # Entered top to bottom, closed bottom to top: the doors close before what they need.
        deep = await stack.enter_async_context(_deep_tier(config))
        journal = stack.enter_context(
            JournalWriter.open(config.paths.journal, config.journal.size_bytes, epoch)
        )
        parts = await stack.enter_async_context(_engine(config, epoch, journal, deep))
        port = await stack.enter_async_context(_doors(config, epoch, parts))
        logger.info("serving lanes on port %s as %s", port, epoch)
        started(Started(port=port, epoch=epoch))
        await stopping.wait()
        logger.info("closing: calls in flight have %s s", SETTLE_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m gateway.serving", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the gateway's TOML file")
    config = load_config(parser.parse_args(arguments).config)
    logging.basicConfig(level=config.log.level, stream=sys.stderr)
    prepare(config)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signal(config))
    return 0


def prepare(config: GatewayConfig) -> None:
    """Set up the process: folders in memory, the metrics' place, threads, the collector."""
    config.paths.metrics_dir.mkdir(parents=True, exist_ok=True)
    os.environ[METRICS_VARIABLE] = str(config.paths.metrics_dir)
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_GC_YOUNGEST, 20, 50)


async def _until_signal(config: GatewayConfig) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await serve(config, stopping, lambda _: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    engine: DecisionEngine
    watch: Watch
    metrics: ServingMetrics
    ready: Readiness


@asynccontextmanager
async def _engine(
    config: GatewayConfig, epoch: str, journal: JournalWriter, deep: DeepTier
) -> AsyncIterator[_Parts]:
    """Open the engine and what watches over it; both end together."""
    from prometheus_client import CollectorRegistry

    from gateway.admission import Admission
    from gateway.api.serving_control_service import Readiness
    from gateway.decisions.engine import Clock, DecisionEngine
    from gateway.decisions.holdings import Holdings
    from gateway.decisions.recent_answers import RecentAnswers
    from gateway.degrade import DegradeMonitor
    from gateway.metrics import ServingMetrics
    from gateway.watch import Watch

    metrics = ServingMetrics(CollectorRegistry())
    holdings = Holdings(OnnxRuntime())
    degrade = DegradeMonitor(time.monotonic)
    limits = config.admission
    admission = Admission(limits.min_concurrency, limits.max_concurrency, time.monotonic)
    async with asyncio.TaskGroup() as tasks:
        engine = DecisionEngine(
            store_id=config.store.store_id,
            epoch=epoch,
            clock=Clock(now=_now, now_us=_now_us),
            holdings=holdings,
            deep=deep,
            admission=admission,
            degrade=degrade,
            answers=RecentAnswers(config.answers.keep, config.answers.cap_bytes, _now),
            journal=journal,
            metrics=metrics,
            tasks=tasks,
        )
        ready = Readiness(lambda: holdings.active.rules is not None, time.monotonic)
        watch = Watch(
            holdings=holdings,
            deep=deep,
            degrade=degrade,
            admission=admission,
            metrics=metrics,
            journal_used=lambda: journal.used_share,
            ready=ready,
            now_s=time.monotonic,
        )
        running = [
            tasks.create_task(watch.run()),
            tasks.create_task(watch.recanary_forever()),
        ]
        if isinstance(deep, OipDeepTier):
            running.append(tasks.create_task(deep.probe_forever(watch.deep_models)))
        try:
            yield _Parts(engine=engine, watch=watch, metrics=metrics, ready=ready)
        finally:
            for task in running:
                task.cancel()
            engine.close()


@asynccontextmanager
async def _doors(config: GatewayConfig, epoch: str, parts: _Parts) -> AsyncIterator[int]:
    """Open the lanes' TLS port and control's socket; yields the port."""
    from grpc_health.v1 import health, health_pb2_grpc
    from prometheus_client import CollectorRegistry

    from gateway.api.decision_service import DecisionService
    from gateway.api.interceptors import MetricsInterceptor
    from gateway.api.serving_control_service import ServingControlService
    from posgate.box.v1.serving_pb2_grpc import add_ServingControlServiceServicer_to_server

    lanes = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", config.admission.max_request_kib * 1024),
            ("grpc.so_reuseport", 0),
        ],
        interceptors=[MetricsInterceptor(CollectorRegistry())],
        maximum_concurrent_rpcs=config.admission.max_concurrency * _RPCS_PER_PLACE,
    )
    service = DecisionService(parts.engine, parts.ready)
    lanes.add_generic_rpc_handlers((service.handler(),))
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, lanes)
    port = lanes.add_secure_port(config.listen.serving.target, server_credentials(config.tls))
    orders = grpc.aio.server(options=[("grpc.max_receive_message_length", _CONTROL_MESSAGE_BYTES)])
    add_ServingControlServiceServicer_to_server(
        ServingControlService(
            epoch=epoch,
            engine=parts.engine,
            degrade=parts.watch.degrade,
            metrics=parts.metrics,
            ready=parts.ready,
            moved=parts.watch.look,
        ),
        orders,
    )
    _bind_socket(orders, config.paths.serving_socket)
    parts.watch.health = checks
    await orders.start()
    await lanes.start()
    try:
        yield port
    finally:
        await checks.enter_graceful_shutdown()
        await lanes.stop(SETTLE_S)
        await orders.stop(SETTLE_S)


def _bind_socket(server: grpc.aio.Server, path: Path) -> None:
    """Bind a socket that only this user may open, from the first moment on."""
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{path}")
    finally:
        os.umask(before)


@asynccontextmanager
async def _deep_tier(config: GatewayConfig) -> AsyncIterator[DeepTier]:
    cloud = config.cloud
    if not cloud.deep_endpoint:
        yield NoDeepTier()
        return
    async with OipDeepTier.open(
        cloud.deep_endpoint,
        _client_files(cloud, config.tls),
        _household_key(config.paths.state_dir / _HOUSEHOLD_KEY),
        time.monotonic,
        cloud.deep_server_name,
    ) as deep:
        yield deep


def _client_files(cloud: CloudConfig, tls: TlsConfig) -> ClientFiles:
    return ClientFiles(
        ca=cloud.deep_ca or tls.ca,
        certificate=cloud.deep_certificate or tls.certificate,
        key=cloud.deep_key or tls.key,
    )


def _household_key(path: Path) -> bytes:
    """Return the key of household hashes; without one, no household is named to the cloud."""
    try:
        return path.read_bytes().strip()
    except FileNotFoundError:
        return b""


def _now() -> datetime:
    return datetime.now(UTC)


def _now_us() -> int:
    return time.monotonic_ns() // 1000


if __name__ == "__main__":
    sys.exit(main())
