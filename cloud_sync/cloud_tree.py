"""Reading the cloud's tree of static files, wherever it lies: folder, web server or bucket.

Owns the time-outs and the size limits. Never tries again by itself: whoever asks knows how
long the network has been away. Nothing read here is believed: the trust check is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore import get_async
from obstore.exceptions import BaseError
from obstore.store import from_url

from cloud_sync.errors import BundleError, CloudUnavailableError

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ClientConfig, ObjectStore

MAX_METADATA_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudAddress:
    """Where the tree lies, and how patient to be with it.

    ``request_timeout`` bounds one metadata file, and the wait for each piece of a bundle.
    ``ca_pem`` is added to the system's authorities; empty: nothing is.
    """

    url: str
    connect_timeout: timedelta = timedelta(seconds=2)
    request_timeout: timedelta = timedelta(seconds=10)
    ca_pem: bytes = b""


class CloudTree:
    """One tree."""

    def __init__(self, address: CloudAddress) -> None:
        self._address = address
        self._store: ObjectStore | None = None

    async def metadata(self, name: str) -> bytes | None:
        """Return ``metadata/<name>.json``; None: the tree has none.

        Raises:
            CloudUnavailableError: no answer in time, or an error.
            BundleError: it is larger than any metadata may be.
        """
        path = f"metadata/{name}.json"
        patience_s = self._address.request_timeout.total_seconds()
        try:
            async with asyncio.timeout(patience_s):
                found = await self._get(path)
                if found is None:
                    return None
                if found.meta["size"] > MAX_METADATA_BYTES:
                    raise BundleError(f"{path} has {found.meta['size']} bytes")
                return bytes(await found.bytes_async())
        except (BaseError, OSError, TimeoutError) as exc:
            raise _unavailable(path, exc) from exc

    async def bundle(self, sha256: str) -> AsyncIterator[bytes]:
        """Yield the bytes of ``targets/<sha256>.bundle``.

        Raises: CloudUnavailableError: it is not there, or stopped coming.
        """
        path = f"targets/{sha256}.bundle"
        patience_s = self._address.request_timeout.total_seconds()
        try:
            async with asyncio.timeout(patience_s):
                found = await self._get(path)
            if found is None:
                raise CloudUnavailableError(f"{path} is not there")
            pieces = aiter(found.stream(min_chunk_size=_CHUNK_BYTES))
            while True:
                async with asyncio.timeout(patience_s):
                    try:
                        piece = await anext(pieces)
                    except StopAsyncIteration:
                        return
                yield bytes(piece)
        except (BaseError, OSError, TimeoutError) as exc:
            raise _unavailable(path, exc) from exc

    async def _get(self, path: str) -> GetResult | None:
        if self._store is None:
            self._store = await asyncio.to_thread(_open, self._address)
        try:
            return await get_async(self._store, path)
        except FileNotFoundError:
            return None


def _open(address: CloudAddress) -> ObjectStore:
    """Open the store; a folder that is not there yet is tried again at the next call."""
    try:
        if address.url.startswith("file://"):
            return from_url(address.url)
        options: ClientConfig = {
            "connect_timeout": address.connect_timeout,
            # A whole bundle may take long; ``bundle`` bounds the wait for each piece.
            "read_timeout": address.request_timeout,
            "timeout": timedelta(hours=1),
            "allow_http": address.url.startswith("http://"),
        }
        if address.ca_pem:
            options["root_certificate"] = address.ca_pem
        # The default retries turn an offline look of 2 s into many.
        return from_url(
            address.url,
            client_options=options,
            retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
        )
    except ValueError as exc:
        raise OSError(str(exc)) from exc


def _unavailable(path: str, exc: BaseException) -> CloudUnavailableError:
    # The library's messages run over many lines; the first says what happened.
    told = str(exc).strip().partition("\n")[0][:200] or type(exc).__name__
    return CloudUnavailableError(f"{path}: {told}")
