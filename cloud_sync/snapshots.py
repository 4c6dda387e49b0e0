"""The reading connection: read-only, and every question sees one state of the file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from cloud_sync.cancellation import to_the_end
from cloud_sync.errors import StoreUnavailableError


class Snapshots:
    """One read-only connection, opened by the first question. It must be closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: aiosqlite.Connection | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def take(self) -> AsyncIterator[aiosqlite.Connection]:
        """Give the connection in a read transaction of its own; one question at a time.

        Raises: StoreUnavailableError: the disk refuses, in the block as well.
        """
        async with self._lock:
            if self._closed:
                raise StoreUnavailableError(f"{self._path} is closed")
            try:
                connection = self._connection
                if connection is None:
                    connection = await to_the_end(self._open())
                try:
                    await connection.execute_fetchall("BEGIN")
                    yield connection
                finally:
                    # Also when BEGIN was given up: it is run all the same, before this.
                    await connection.rollback()
            except sqlite3.Error as exc:
                raise StoreUnavailableError(f"{self._path}: {exc}") from exc

    async def close(self) -> None:
        """Close the connection when the question before is done; no other is opened."""
        async with self._lock:
            self._closed = True
            if self._connection is not None:
                await self._connection.close()
                self._connection = None

    async def _open(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(
            f"{self._path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=2.0,
            isolation_level=None,
        )
        try:
            await connection.execute_fetchall("PRAGMA query_only=ON")
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return connection
