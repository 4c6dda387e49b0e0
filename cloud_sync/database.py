"""The store's one SQLite file: group commit for many producers, and consistent reads.

A unit of work is an ordinary function of a connection. ``write`` returns after the commit
that holds it is on disk (WAL, ``synchronous=FULL``); every unit that waits when a commit
starts shares that commit and its fsync. A unit that raises is undone alone. When the disk
refuses, every unit of the commit gets ``StoreUnavailableError`` and nothing was stored. A
file that cannot be opened at first is tried again by every write: a box whose disk is gone
still hands out what it has in memory.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Self

import aiosqlite

from cloud_sync.cancellation import to_the_end
from cloud_sync.errors import StoreMismatchError, StoreUnavailableError
from cloud_sync.group_writer import GroupWriter, T, Unit
from cloud_sync.schema import claim, migrate
from cloud_sync.snapshots import Snapshots

logger = logging.getLogger(__name__)

MAX_GROUP = 256
"""Units in one commit: bounds how long the first one waits for the last."""

Waiting = tuple[Unit[Any], asyncio.Future[Any]]


class Database:
    """Durable writes and consistent reads of one file."""

    def __init__(self, path: Path, store_id: str) -> None:
        """Use ``open``."""
        self.path = path
        self.commit_count = 0
        self._store_id = store_id
        self._writer: GroupWriter | None = None
        self._snapshots = Snapshots(path)
        self._waiting: list[Waiting] = []
        self._wake = asyncio.Event()
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, store_id: str) -> AsyncIterator[Self]:
        """Open or create the file, migrate it, and own it until the end of the block.

        A disk that refuses is no error here: every call says so until it heals. What was
        handed over before the end of the block is written; both connections are closed
        however it ends, because an open one keeps the interpreter from exiting.

        Raises:
            StoreMismatchError: it is another store's or a newer version's.
        """
        database = cls(path, store_id)
        try:
            try:
                await to_the_end(database._connect())
            except StoreUnavailableError as exc:
                logger.error("the database cannot be opened, trying again: %s", exc)
            writing = asyncio.create_task(database._write_groups(), name="store-writer")
            try:
                yield database
            finally:
                database._closed = True
                database._wake.set()
                await to_the_end(_ended(writing))
        finally:
            await to_the_end(database._close())

    async def write(self, unit: Unit[T]) -> T:
        """Run ``unit`` in a transaction; return its result once it is on disk.

        Cancelling gives up waiting: the unit may still be committed.

        Raises:
            StoreUnavailableError: the disk refused; nothing of the unit is stored.
            Exception: what ``unit`` raised; nothing of it is stored.
        """
        self._check_open()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, future))
        self._wake.set()
        return await future

    @asynccontextmanager
    async def read(self) -> AsyncIterator[aiosqlite.Connection]:
        """Give a read-only connection that sees one state, whole commits only.

        Raises: StoreUnavailableError: the disk refuses, in the block as well.
        """
        self._check_open()
        if self._writer is None:
            await self.write(_nothing)
        async with self._snapshots.take() as connection:
            yield connection

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError(f"{self.path} is closed")

    async def _write_groups(self) -> None:
        """Commit what waits, one group after the other, until closed and all is done."""
        try:
            while self._waiting or not self._closed:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    group = self._waiting[:MAX_GROUP]
                    del self._waiting[:MAX_GROUP]
                    wanted = [entry for entry in group if not entry[1].done()]
                    if wanted:
                        await self._commit(wanted)
        finally:
            self._closed = True
            closed = StoreUnavailableError(f"{self.path} is closed")
            _refuse([future for _, future in self._waiting], closed)

    async def _commit(self, group: Sequence[Waiting]) -> None:
        """Run a group and tell every producer what became of its unit."""
        problem = StoreUnavailableError(f"{self.path}: given up")
        try:
            writer = self._writer or await self._connect()
            outcomes = await writer.run([unit for unit, _ in group])
            self.commit_count += 1
            for (_, future), (result, error) in zip(group, outcomes, strict=True):
                if error is not None:
                    _refuse((future,), error)
                elif not future.done():
                    future.set_result(result)
        except (sqlite3.Error, StoreUnavailableError, StoreMismatchError) as exc:
            problem = StoreUnavailableError(f"{self.path}: {exc}")
        except Exception:
            # The writer goes on for those who come after.
            logger.exception("a commit failed unforeseen, its producers are told to come again")
        finally:
            _refuse([future for _, future in group], problem)

    async def _connect(self) -> GroupWriter:
        """Make the file ready and open it. Raises: StoreUnavailableError, StoreMismatchError."""
        try:
            await asyncio.to_thread(_make_ready, self.path, self._store_id)
            self._writer = await GroupWriter.open(self.path)
        except (sqlite3.Error, OSError) as exc:
            raise StoreUnavailableError(f"{self.path}: {exc}") from exc
        return self._writer

    async def _close(self) -> None:
        self._closed = True
        try:
            await self._snapshots.close()
        finally:
            if self._writer is not None:
                await self._writer.close()


async def _ended(writing: asyncio.Task[None]) -> None:
    """Wait for the writer's end; a defect in it is raised, its being cancelled is not."""
    await asyncio.wait((writing,))
    if not writing.cancelled():
        writing.result()


def _refuse(futures: Iterable[asyncio.Future[Any]], problem: Exception) -> None:
    """Answer everyone who has no answer yet."""
    for future in futures:
        if not future.done():
            future.set_exception(problem)


def _nothing(connection: sqlite3.Connection) -> None:
    """Do nothing: what opens the file is being asked to write."""
    del connection


def _make_ready(path: Path, store_id: str) -> None:
    """Create or migrate the file, and see that it is this store's.

    Raises: sqlite3.Error, OSError: the disk refuses. StoreMismatchError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=2.0, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        migrate(connection)
        claim(connection, store_id)
