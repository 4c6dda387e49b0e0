"""The channel to the cloud's deep endpoint: opened anew when its certificate is renewed.

Owns the options of the channel, reading its PEM files and noticing that they changed. A
renewed pair that does not get a connection leaves the channel in force.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
from tritonclient.grpc import service_pb2_grpc

logger = logging.getLogger(__name__)

CHANNEL_OPTIONS = (
    # After an outage the default back-off takes ten seconds to try again.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
)
_CONNECTS_WITHIN_S = 1.0
_SETTLE_S = 1.0
"""How long calls on the channel before may end."""
_Stamps = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFiles:
    """The PEM files by which the box and the cloud know each other."""

    ca: Path
    certificate: Path
    key: Path

    def credentials(self) -> grpc.ChannelCredentials:
        """Read them now; raises OSError."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca.read_bytes(),
            private_key=self.key.read_bytes(),
            certificate_chain=self.certificate.read_bytes(),
        )

    def stamps(self) -> _Stamps:
        """Return what differs when a file has been replaced; raises OSError."""
        found = [os.stat(path) for path in (self.ca, self.certificate, self.key)]
        return tuple((one.st_mtime_ns, one.st_ino) for one in found)


class DeepChannel:
    """A channel to one target. ``stub`` calls over the one in force."""

    def __init__(self, target: str, files: ClientFiles | None, server_name: str) -> None:
        self._target = target
        self._files = files
        self._server_name = server_name
        self._refused: _Stamps = ()
        self._stamps: _Stamps = () if files is None else files.stamps()
        self._channel = self._connected(None if files is None else files.credentials())
        self.stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, target: str, files: ClientFiles | None, server_name: str = ""
    ) -> AsyncIterator[Self]:
        """Open a channel to ``target``; without files it is plain text. Raises OSError."""
        opened = cls(target, files, server_name)
        try:
            yield opened
        finally:
            await opened._channel.close()

    async def renew(self) -> bool:
        """Put a new channel in force if the files changed and it gets a connection.

        Returns: True: ``stub`` is another one. Otherwise the next call tries again.
        """
        if self._files is None:
            return False
        try:
            stamps = await asyncio.to_thread(self._files.stamps)
            if stamps == self._stamps:
                return False
            fresh = self._connected(await asyncio.to_thread(self._files.credentials))
        except OSError:
            # In the middle of being replaced, or gone: what was read still holds.
            return False
        try:
            async with asyncio.timeout(_CONNECTS_WITHIN_S):
                await fresh.channel_ready()
        except TimeoutError:
            await fresh.close()
            if stamps != self._refused:
                self._refused = stamps
                logger.warning(
                    "keeping the channel to the cloud: its renewed files give no connection"
                )
            return False
        before, self._channel, self._stamps = self._channel, fresh, stamps
        self.stub = service_pb2_grpc.GRPCInferenceServiceStub(fresh)
        logger.info("asking the cloud with the renewed certificate %s", self._files.certificate)
        await before.close(_SETTLE_S)
        return True

    def _connected(self, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
        options: list[tuple[str, int | str]] = [*CHANNEL_OPTIONS]
        if self._server_name:
            options.append(("grpc.ssl_target_name_override", self._server_name))
        if credentials is None:
            return grpc.aio.insecure_channel(self._target, options)
        return grpc.aio.secure_channel(self._target, credentials, options)
