"""The store's one SQLite file: a writer thread with group commit, and a reader thread.

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
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from cloud_sync.errors import StoreMismatchError, StoreUnavailableError
from cloud_sync.schema import claim, migrate

logger = logging.getLogger(__name__)

T = TypeVar("T")
Unit = Callable[[sqlite3.Connection], T]

MAX_GROUP = 256
"""Units in one commit: bounds how long the first one waits for the last."""


class Database:
    """Durable writes and consistent reads of one file."""

    def __init__(self, path: Path, store_id: str) -> None:
        """Use ``open``."""
        self.path = path
        self.commit_count = 0
        self._store_id = store_id
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._queue: queue.SimpleQueue[tuple[Unit[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, store_id: str) -> AsyncIterator[Self]:
        """Open or create the file, migrate it, and own it until the end of the block.

        A disk that refuses is no error here: every call says so until it heals.

        Raises:
            StoreMismatchError: it is another store's or a newer version's.
        """
        database = cls(path, store_id)
        try:
            await asyncio.to_thread(database._connect)
        except StoreUnavailableError as exc:
            logger.error("the database cannot be opened, trying again: %s", exc)
        database._thread.start()
        try:
            yield database
        finally:
            await asyncio.shield(asyncio.to_thread(database._close))

    async def write(self, unit: Unit[T]) -> T:
        """Run ``unit`` in a transaction; return its result once it is on disk.

        Cancelling gives up waiting: the unit may still be committed.

        Raises:
            StoreUnavailableError: the disk refused; nothing of the unit is stored.
            Exception: what ``unit`` raised; nothing of it is stored.
        """
        future: Future[T] = Future()
        if self._closed:
            raise StoreUnavailableError(f"{self.path} is closed")
        self._queue.put((unit, future))
        return await asyncio.wrap_future(future)

    async def read(self, query: Unit[T]) -> T:
        """Run ``query`` on the reader's connection: it sees whole commits only.

        Raises: StoreUnavailableError: the disk refuses.
        """
        reader = self._reader
        if reader is None:
            await self.write(_nothing)
            reader = self._reader
            assert reader is not None
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, query, reader)
        except sqlite3.Error as exc:
            raise StoreUnavailableError(f"{self.path}: {exc}") from exc

    def _run(self) -> None:
        entry = self._queue.get()
        while entry is not None:
            group = [entry]
            with suppress(queue.Empty):
                while len(group) < MAX_GROUP:
                    entry = self._queue.get_nowait()
                    if entry is None:
                        break
                    group.append(entry)
            self._commit(group)
            if entry is not None:
                entry = self._queue.get()

    def _commit(self, group: list[tuple[Unit[Any], Future[Any]]]) -> None:
        wanted = [entry for entry in group if entry[1].set_running_or_notify_cancel()]
        try:
            done, failed = self._transact(wanted)
        except (sqlite3.Error, StoreUnavailableError, StoreMismatchError) as exc:
            problem = StoreUnavailableError(f"{self.path}: {exc}")
            done, failed = [], [(future, problem) for _, future in wanted]
        for future, result in done:
            future.set_result(result)
        for future, error in failed:
            future.set_exception(error)

    def _transact(
        self, wanted: list[tuple[Unit[Any], Future[Any]]]
    ) -> tuple[list[tuple[Future[Any], Any]], list[tuple[Future[Any], Exception]]]:
        """Run every unit in one transaction; return results, and failures of single units."""
        writer = self._writer or self._connect()
        done: list[tuple[Future[Any], Any]] = []
        failed: list[tuple[Future[Any], Exception]] = []
        try:
            writer.execute("BEGIN IMMEDIATE")
            for unit, future in wanted:
                try:
                    done.append((future, _one(writer, unit)))
                except Exception as exc:
                    if isinstance(exc, sqlite3.Error) and not _of_the_unit(exc):
                        raise
                    failed.append((future, exc))
            writer.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                writer.execute("ROLLBACK")
            raise
        self.commit_count += 1
        return done, failed

    def _connect(self) -> sqlite3.Connection:
        """Open both connections. Raises: StoreUnavailableError, StoreMismatchError."""
        self._writer, self._reader = _connected(self.path, self._store_id)
        return self._writer

    def _close(self) -> None:
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._readers.shutdown()
        for connection in filter(None, (self._reader, self._writer)):
            connection.close()


def _one(writer: sqlite3.Connection, unit: Unit[T]) -> T:
    writer.execute("SAVEPOINT unit")
    try:
        result = unit(writer)
    except BaseException:
        # A full disk has rolled everything back already: then there is no savepoint.
        if writer.in_transaction:
            writer.execute("ROLLBACK TO unit")
            writer.execute("RELEASE unit")
        raise
    writer.execute("RELEASE unit")
    return result


def _nothing(connection: sqlite3.Connection) -> None:
    """Do nothing: what opens the file is being asked to write."""
    del connection


def _of_the_unit(exc: sqlite3.Error) -> bool:
    """Tell a unit's own mistake from a disk that refuses."""
    return isinstance(exc, sqlite3.IntegrityError | sqlite3.ProgrammingError)


def _connected(path: Path, store_id: str) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    connections: list[sqlite3.Connection] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            connection = sqlite3.connect(
                path, timeout=2.0, isolation_level=None, check_same_thread=False
            )
            connections.append(connection)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            if len(connections) == 1:
                migrate(connection)
                claim(connection, store_id)
        connections[1].execute("PRAGMA query_only=ON")
    except (sqlite3.Error, OSError) as exc:
        for connection in connections:
            connection.close()
        raise StoreUnavailableError(f"{path}: {exc}") from exc
    except BaseException:
        for connection in connections:
            connection.close()
        raise
    return connections[0], connections[1]
