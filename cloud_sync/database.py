"""The store's one SQLite file: a writer thread with group commit, and a reader thread.

A unit of work is an ordinary function of a connection. ``write`` returns after the commit
that holds it is on disk (WAL, ``synchronous=FULL``); every unit that waits when a commit
starts shares that commit and its fsync. A unit that raises is undone alone. When the disk
refuses, every unit of the commit gets ``StoreUnavailableError`` and nothing was stored.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from cloud_sync.errors import StoreUnavailableError
from cloud_sync.schema import claim, migrate

T = TypeVar("T")
Unit = Callable[[sqlite3.Connection], T]

MAX_GROUP = 256
"""Units in one commit: bounds how long the first one waits for the last."""


class Database:
    """Durable writes and consistent reads of one file."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        """Use ``open``."""
        self.path = path
        self.commit_count = 0
        self._writer = writer
        self._reader = reader
        self._queue: queue.SimpleQueue[tuple[Unit[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, store_id: str) -> AsyncIterator[Self]:
        """Open or create the file, migrate it, and own it until the end of the block.

        Raises:
            StoreUnavailableError: the disk refuses.
            StoreMismatchError: it is another store's or a newer version's.
        """
        writer, reader = await asyncio.to_thread(_connect, path, store_id)
        database = cls(path, writer, reader)
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
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, query, self._reader)
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
        done: list[tuple[Future[Any], Any]] = []
        failed: list[tuple[Future[Any], BaseException]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for unit, future in wanted:
                try:
                    done.append((future, self._one(unit)))
                except Exception as exc:
                    if isinstance(exc, sqlite3.Error) and not _of_the_unit(exc):
                        raise
                    failed.append((future, exc))
            self._writer.execute("COMMIT")
            self.commit_count += 1
        except sqlite3.Error as exc:
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            problem = StoreUnavailableError(f"{self.path}: {exc}")
            failed, done = [(future, problem) for _, future in wanted], []
        for future, result in done:
            future.set_result(result)
        for future, error in failed:
            future.set_exception(error)

    def _one(self, unit: Unit[T]) -> T:
        self._writer.execute("SAVEPOINT unit")
        try:
            result = unit(self._writer)
        except BaseException:
            # A full disk has rolled everything back already: then there is no savepoint.
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK TO unit")
                self._writer.execute("RELEASE unit")
            raise
        self._writer.execute("RELEASE unit")
        return result

    def _close(self) -> None:
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._readers.shutdown()
        self._reader.close()
        self._writer.close()


def _of_the_unit(exc: sqlite3.Error) -> bool:
    """Tell a unit's own mistake from a disk that refuses."""
    return isinstance(exc, sqlite3.IntegrityError | sqlite3.ProgrammingError)


def _connect(path: Path, store_id: str) -> tuple[sqlite3.Connection, sqlite3.Connection]:
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
