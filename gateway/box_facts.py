"""What the box says of itself to registers, kept current."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

from cloud_sync.activation import Activation
from gateway.api.terminal_service import BoxFacts
from gateway.config import Address, GatewayConfig
from gateway.serving_link import ServingStatus
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.modes import Mode
from terminal_client.core.reading import DocumentError

logger = logging.getLogger(__name__)

CAPABILITIES = ("get_decision",)
_WILDCARDS = frozenset({"0.0.0.0", "::"})


class BoxFactsSource:
    """Facts at this moment; ``refresh`` keeps up with the rules in use."""

    def __init__(
        self,
        config: GatewayConfig,
        activation: Activation,
        bundle_file: Callable[[str], Path],
        serving: Callable[[], ServingStatus | None],
        control_port: int,
    ) -> None:
        """``bundle_file`` tells where a bundle lies, by digest."""
        self._config = config
        self._activation = activation
        self._bundle_file = bundle_file
        self._serving = serving
        host = _advertised(config)
        self._serving_target = Address(host=host, port=config.listen.serving.port).target
        self._control_target = Address(host=host, port=control_port).target
        self._read_digest = ""
        self._workflows: tuple[str, ...] = ()

    @property
    def fallback_digest(self) -> str:
        """The digest of the rules that decide here; empty: none yet."""
        return self._activation.rules_digest

    def __call__(self) -> BoxFacts:
        """Return the facts now. A box whose serving is away answers by rules alone."""
        status = self._serving()
        return BoxFacts(
            store_id=self._config.store.store_id,
            time_zone=self._config.store.time_zone,
            serving_target=self._serving_target,
            control_target=self._control_target,
            mode=Mode.EMERGENCY if status is None else status.mode,
            fallback_digest=self.fallback_digest,
            workflows=self._workflows,
            capabilities=CAPABILITIES,
        )

    async def refresh(self) -> None:
        """Read the workflows' names when other rules have come into use."""
        digest = self.fallback_digest
        if not digest or digest == self._read_digest:
            return
        try:
            self._workflows = await asyncio.to_thread(_workflows, self._bundle_file(digest), digest)
        except (OSError, DocumentError) as exc:
            logger.warning("the workflows of %s are not known: %s", digest, exc)
        self._read_digest = digest


def _workflows(path: Path, digest: str) -> tuple[str, ...]:
    bundle = FallbackBundle.load(path.read_bytes(), digest)
    return tuple(sorted(bundle.policy.workflows))


def _advertised(config: GatewayConfig) -> str:
    if config.listen.advertised_host:
        return config.listen.advertised_host
    host = config.listen.serving.host
    return socket.gethostname() if host in _WILDCARDS else host
