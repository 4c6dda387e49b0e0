"""The control process: composition root. Names the concrete classes and their order, no more.

Registers (uploads, outcomes, bundles), the durable inbox, the mirror of the signed tree,
serving's orders, and the health doors. It may crash, hang or restart without a register
waiting: serving goes on, registers keep their spools.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from prometheus_client import REGISTRY, CollectorRegistry

from cloud_sync.activation import Activation
from cloud_sync.archive import Archive
from cloud_sync.bundle_store import BundleStore
from cloud_sync.cloud_tree import CloudAddress, CloudTree
from cloud_sync.database import Database
from cloud_sync.inbox import Inbox
from cloud_sync.mirror import Mirror
from gateway.api.bundle_service import BundleService
from gateway.api.guard import GuardInterceptor
from gateway.api.interceptors import MetricsInterceptor
from gateway.api.outcome_service import OutcomeService
from gateway.api.terminal_service import TerminalService
from gateway.box_facts import BoxFactsSource
from gateway.config import Address, GatewayConfig
from gateway.control_metrics import ControlMetrics
from gateway.health.door import open_door
from gateway.health.exposition import Exposition
from gateway.health.look import Look
from gateway.health.monitor import HealthMonitor
from gateway.health.orders import ControlOrders
from gateway.health.routes import administration, monitoring
from gateway.journal_drain import JournalDrain
from gateway.ordered_mode import OrderedMode
from gateway.serving_driver import ServingDriver
from gateway.serving_link import ServingLink
from gateway.terminals import Terminals
from gateway.tls import server_credentials
from posgate.v1.bundle_pb2_grpc import add_BundleServiceServicer_to_server
from posgate.v1.outcome_pb2_grpc import add_OutcomeServiceServicer_to_server
from posgate.v1.terminal_pb2_grpc import add_TerminalServiceServicer_to_server
from terminal_client.signatures import verify_signature
from terminal_client.version import VERSION

logger = logging.getLogger(__name__)

STOP_GRACE_S = 2.0
_SERVICES = (
    "",
    "posgate.v1.TerminalService",
    "posgate.v1.OutcomeService",
    "posgate.v1.BundleService",
)
_SERVER_OPTIONS = (
    # A second control on this box must fail to start, not share the port.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
)


def now() -> datetime:
    """Return the box's clock, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control process that runs; ``control`` and ``health`` are where it answers."""

    control: Address
    health: Address
    mirror: Mirror
    driver: ServingDriver
    drain: JournalDrain
    monitor: HealthMonitor
    facts: BoxFactsSource

    async def run(self) -> None:
        """Run every loop until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.driver.run(), name="serving-driver")
            tasks.create_task(self.drain.run(), name="journal-drain")
            tasks.create_task(self.mirror.run(), name="mirror")
            tasks.create_task(self.monitor.run(), name="health")


@asynccontextmanager
async def open_control(
    config: GatewayConfig, registry: CollectorRegistry = REGISTRY
) -> AsyncIterator[Control]:
    """Open everything; loops run in ``Control.run``. Closed from the last to the first.

    Raises:
        StoreMismatchError: the database is another store's, or a newer version's.
        TrustError: the pinned root is none. TlsFilesError: the PEM files do not fit.
        OSError: an address is taken, or the pinned root cannot be read.
    """
    async with AsyncExitStack() as stack:
        yield await _Assembly(config, registry, stack).assemble()


class _Assembly:
    """The one place where control's parts meet."""

    def __init__(
        self, config: GatewayConfig, registry: CollectorRegistry, stack: AsyncExitStack
    ) -> None:
        self._config = config
        self._registry = registry
        self._stack = stack
        self._metrics = ControlMetrics(registry)
        self._metrics.build_info.labels(VERSION).set(1)

    async def assemble(self) -> Control:
        """Open the parts in order of need: disk, serving, cloud, then the doors."""
        config, stack = self._config, self._stack
        database = await stack.enter_async_context(
            Database.open(config.paths.database, config.store.store_id)
        )
        archive = Archive(database)
        link = await stack.enter_async_context(ServingLink.open(config.paths.serving_socket))
        store = BundleStore(config.paths.bundles_dir)
        activation = Activation(link, store, config.paths.mirror_dir / "active.json", now)
        mirror = self._mirror(store, activation)
        mirror.load()
        # Who is told of new records needs the drain of the journal, and the drain the inbox.
        inbox = Inbox(database, now, lambda: driver.changed())
        drain = JournalDrain(config.paths.journal, inbox, archive, self._metrics.lost)
        driver = self._driver(link, archive, activation, mirror, drain)
        facts = BoxFactsSource(
            config, activation, store.file, lambda: driver.status, config.listen.control.port
        )
        terminals = Terminals(now)
        terminal = TerminalService(
            facts=facts, terminals=terminals, decisions=inbox, redemptions=archive,
            counts=self._metrics, clock=now,
        )  # fmt: skip
        control = await self._serve(
            terminal, OutcomeService(inbox), BundleService(mirror, store, archive, now)
        )
        look = Look(config, driver, drain, mirror, activation, archive, terminals, facts, now)
        monitor = HealthMonitor(look, self._metrics)
        health = self._open_doors(monitor, archive, driver)
        return Control(
            control=control, health=health, mirror=mirror, driver=driver,
            drain=drain, monitor=monitor, facts=facts,
        )  # fmt: skip

    def _driver(
        self,
        link: ServingLink,
        archive: Archive,
        activation: Activation,
        mirror: Mirror,
        drain: JournalDrain,
    ) -> ServingDriver:
        return ServingDriver(
            serving=link,
            views=archive,
            artifacts=activation,
            order=OrderedMode(self._config.paths.mirror_dir / "ordered_mode.json"),
            drain=drain.empty,
            clock=now,
            keep=self._config.answers.keep,
            cap_bytes=self._config.answers.cap_bytes,
            host_moved=mirror.host_moved,
        )

    def _mirror(self, store: BundleStore, activation: Activation) -> Mirror:
        config = self._config
        cloud = config.cloud
        tree = None
        if cloud.bundles_url:
            tree = CloudTree(
                CloudAddress(
                    url=cloud.bundles_url,
                    connect_timeout=timedelta(seconds=cloud.connect_timeout_s),
                    request_timeout=timedelta(seconds=cloud.request_timeout_s),
                    ca_pem=b"" if cloud.bundles_ca is None else cloud.bundles_ca.read_bytes(),
                )
            )
        return Mirror(
            tree=tree,
            ring=config.trust.ring,
            pinned_root=config.trust.root.read_bytes(),
            verify_signature=verify_signature,
            store=store,
            activation=activation,
            folder=config.paths.mirror_dir,
            poll_interval=cloud.poll_interval,
            clock=now,
        )

    async def _serve(
        self, terminal: TerminalService, outcome: OutcomeService, bundle: BundleService
    ) -> Address:
        server = grpc.aio.server(
            interceptors=[MetricsInterceptor(self._registry), GuardInterceptor()],
            options=_SERVER_OPTIONS,
        )
        add_TerminalServiceServicer_to_server(terminal, server)
        add_OutcomeServiceServicer_to_server(outcome, server)
        add_BundleServiceServicer_to_server(bundle, server)
        health = health_aio.HealthServicer()
        add_HealthServicer_to_server(health, server)
        for name in _SERVICES:
            await health.set(name, health_pb2.HealthCheckResponse.SERVING)
        at = self._config.listen.control
        try:
            port = server.add_secure_port(at.target, server_credentials(self._config.tls))
        except RuntimeError as exc:
            raise OSError(f"cannot listen on {at}: it is taken or not this machine's") from exc
        await server.start()
        self._stack.push_async_callback(server.stop, STOP_GRACE_S)
        return Address(host=at.host, port=port)

    def _open_doors(
        self, monitor: HealthMonitor, archive: Archive, driver: ServingDriver
    ) -> Address:
        config = self._config
        render = Exposition(config.paths.metrics_dir).render
        orders = ControlOrders(asyncio.get_running_loop(), archive, driver)
        self._stack.enter_context(
            open_door(config.paths.admin_socket, administration(monitor, orders))
        )
        at = self._stack.enter_context(open_door(config.listen.health, monitoring(monitor, render)))
        assert isinstance(at, Address)
        return at


async def serve(config: GatewayConfig) -> None:
    """Run control until SIGTERM or SIGINT.

    Raises: as ``open_control``.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with open_control(config) as control:
        logger.info("control answers on %s, health on %s", control.control, control.health)
        running = asyncio.create_task(control.run(), name="control")
        waiting = asyncio.create_task(stopped.wait(), name="stop")
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        running.cancel()
        outcome = (await asyncio.gather(running, return_exceptions=True))[0]
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
        await control.drain.finish()
    logger.info("control stopped")
