"""Looking at everything that tells how the box is, at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from cloud_sync.activation import Activation
from cloud_sync.archive import Archive
from cloud_sync.errors import StoreUnavailableError
from cloud_sync.mirror import Mirror
from gateway.box_facts import BoxFactsSource
from gateway.config import GatewayConfig
from gateway.health.observations import ChannelView, Observations
from gateway.journal_drain import JournalDrain
from gateway.serving_driver import ServingDriver
from gateway.terminals import Terminals
from gateway.tls import TlsFilesError, certificate_not_after
from terminal_client.version import VERSION


class Look:
    """Gathers what the health monitor looks at; called once a second."""

    def __init__(
        self,
        config: GatewayConfig,
        driver: ServingDriver,
        drain: JournalDrain,
        mirror: Mirror,
        activation: Activation,
        archive: Archive,
        terminals: Terminals,
        facts: BoxFactsSource,
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._driver = driver
        self._drain = drain
        self._mirror = mirror
        self._activation = activation
        self._archive = archive
        self._terminals = terminals
        self._facts = facts
        self._clock = clock

    async def __call__(self) -> Observations:
        """Return everything seen now."""
        await self._facts.refresh()
        try:
            streams = await self._archive.streams()
        except StoreUnavailableError:
            streams = None
        try:
            end = await asyncio.to_thread(certificate_not_after, self._config.tls.certificate)
            certificates = {"server": end}
        except TlsFilesError:
            certificates = {}
        terminals = self._terminals.all()
        return Observations(
            time=self._clock(),
            store_id=self._config.store.store_id,
            time_zone=self._config.store.time_zone,
            version=VERSION,
            serving=self._driver.status,
            serving_problem=self._driver.problem,
            journal_problem=self._drain.problem,
            active=dict(self._activation.active),
            artifact_problems=dict(self._activation.problems),
            channels=tuple(
                ChannelView(
                    name=channel.name,
                    seen_at=channel.seen_at,
                    problem=channel.problem,
                    expires=None if channel.latest is None else channel.latest.expires,
                )
                for channel in self._mirror.channels.values()
            ),
            cloud=self._mirror.cloud,
            streams=streams,
            terminals=terminals,
            silent=frozenset(
                one.workstation_id for one in terminals if self._terminals.silent(one)
            ),
            certificates=certificates,
        )
