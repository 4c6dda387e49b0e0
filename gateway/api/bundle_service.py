"""BundleService: hands the mirror's cache and the redemption view to registers."""

from __future__ import annotations

import asyncio
from binascii import crc32
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Protocol

import grpc

from cloud_sync.errors import StoreUnavailableError
from cloud_sync.mirror import TrustDocuments
from cloud_sync.records import RedemptionChanges
from gateway.api import statuses
from posgate.v1 import bundle_pb2 as pb
from posgate.v1.bundle_pb2_grpc import BundleServiceServicer
from terminal_client.codec import instant_to_pb

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_CHUNK = 262_144
LARGEST_CHUNK = 1_048_576


class TrustSource(Protocol):
    """Signed documents and what they select, as ``Mirror`` has them."""

    def documents(self, known_root_version: int) -> TrustDocuments | None:
        """Return what a register verifies with; None: nothing yet."""
        ...

    def fallback_digests(self) -> Collection[str]:
        """Return the digests that registers may fetch."""
        ...


class BundleBytes(Protocol):
    """Bundles on disk, as ``BundleStore`` has them."""

    def read(self, digest: str, offset: int, most: int) -> tuple[bytes, int]:
        """Return a piece and the whole's size. Raises: FileNotFoundError."""
        ...


class RedemptionSource(Protocol):
    """The redemption view, as ``Archive`` reads it."""

    async def redemption_changes(self, after: int) -> RedemptionChanges:
        """Return what changed after a cursor."""
        ...


class BundleService(BundleServiceServicer):
    """Translates; the mirror, the bundle store and the ledger answer."""

    def __init__(
        self,
        trust: TrustSource,
        bundles: BundleBytes,
        redemptions: RedemptionSource,
        clock: Callable[[], datetime],
    ) -> None:
        self._trust = trust
        self._bundles = bundles
        self._redemptions = redemptions
        self._clock = clock

    async def GetTrust(  # noqa: N802 - the contract's name
        self, request: pb.GetTrustRequest, context: Context
    ) -> pb.GetTrustResponse:
        """Return the signed documents."""
        if request.known_root_version < 1:
            await statuses.abort(
                context,
                statuses.bad_field("known_root_version", "is below 1", "send the pinned one's"),
            )
        found = self._trust.documents(request.known_root_version)
        if found is None:
            await statuses.abort(context, statuses.no_bundle_yet())
        return pb.GetTrustResponse(
            roots=found.roots,
            delegation=found.delegation,
            release=found.release,
            pointer=found.pointer,
        )

    async def GetBundle(  # noqa: N802 - the contract's name
        self, request: pb.GetBundleRequest, context: Context
    ) -> pb.GetBundleResponse:
        """Return a piece of a bundle."""
        if request.offset < 0:
            await statuses.abort(
                context, statuses.bad_field("offset", "is negative", "send 0 or more")
            )
        if not 0 <= request.max_bytes <= LARGEST_CHUNK:
            await statuses.abort(
                context,
                statuses.bad_field(
                    "max_bytes", "is out of range", f"send a value in [0, {LARGEST_CHUNK}]"
                ),
            )
        if request.digest not in self._trust.fallback_digests():
            await statuses.abort(context, statuses.unknown_bundle())
        most = request.max_bytes or DEFAULT_CHUNK
        try:
            chunk, total_bytes = await asyncio.to_thread(
                self._bundles.read, request.digest, request.offset, most
            )
        except FileNotFoundError:
            await statuses.abort(context, statuses.unknown_bundle())
        except OSError:
            await statuses.abort(context, statuses.disk_refuses())
        if request.offset > total_bytes:
            await statuses.abort(context, statuses.past_the_end(total_bytes))
        return pb.GetBundleResponse(chunk=chunk, total_bytes=total_bytes, chunk_crc32=crc32(chunk))

    async def GetRedemptions(  # noqa: N802 - the contract's name
        self, request: pb.GetRedemptionsRequest, context: Context
    ) -> pb.GetRedemptionsResponse:
        """Return what changed in the redemption view."""
        as_of = self._clock()
        try:
            found = await self._redemptions.redemption_changes(request.cursor)
        except StoreUnavailableError:
            await statuses.abort(context, statuses.disk_refuses())
        return pb.GetRedemptionsResponse(
            reset=found.reset,
            changes=[
                pb.RedemptionChange(redemption_key=change.redemption_key, redeemed=change.redeemed)
                for change in found.changes
            ],
            next_cursor=found.next_cursor,
            more=found.more,
            as_of_time=instant_to_pb(as_of),
        )
