"""The spool's file: one SQLite database that one client at a time owns.

Owns the tables and what may stand in them; ``spool`` owns the thread. Not thread-safe. A
transaction is on disk, fsync included, when ``commit`` returns. A process that is killed at any
moment leaves the file with every committed record once.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from terminal_client.errors import StateError

MOST_RECORDS = 256
MOST_GAPS = 256
"""In one batch; a box refuses one with more."""
MOST_BATCH_BYTES = 1024 * 1024
# What a batch needs beside its records: names, gaps, and a few bytes per record.
_BATCH_OVERHEAD = 16 * 1024
LONGEST_RECORD = MOST_BATCH_BYTES - _BATCH_OVERHEAD
_RECORD_OVERHEAD = 16
_MOST_ROWS = 2 * MOST_RECORDS

_SCHEMA = """
CREATE TABLE IF NOT EXISTS epochs (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- A decision, or a gap that ends at last_sequence: then gap_reason is set and body is empty.
CREATE TABLE IF NOT EXISTS decisions (
    epoch INTEGER NOT NULL REFERENCES epochs, sequence INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL, gap_reason TEXT NOT NULL,
    body BLOB NOT NULL, crc32 INTEGER NOT NULL, PRIMARY KEY (epoch, sequence)
);
CREATE TABLE IF NOT EXISTS outcomes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, crc32 INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Sequences from ``first`` to ``last`` that will never come, and why."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The oldest records of one epoch, without holes: decisions and gaps up to ``through``."""

    epoch: str
    decisions: tuple[bytes, ...]
    gaps: tuple[Gap, ...]
    through: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One report that waits; ``number`` orders them."""

    number: int
    body: bytes


class SpoolStore:
    """The open database. Every method may raise ``sqlite3.Error``."""

    def __init__(self, connection: sqlite3.Connection, epoch: str) -> None:
        self._connection = connection
        self._epoch = epoch
        self._epoch_number = 0

    @classmethod
    def open(cls, path: Path, epoch: str) -> Self:
        """Open or make the database, exclusively, and begin ``epoch``.

        A file that is not a sound database is put aside as ``*.damaged``, for support.

        Raises: StateError: another client has it, or the folder cannot be written.
        """
        try:
            try:
                return cls._opened(path, epoch)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                path.replace(path.with_name(path.name + ".damaged"))
                path.with_name(path.name + "-wal").unlink(missing_ok=True)
                return cls._opened(path, epoch)
        except (sqlite3.Error, OSError) as error:
            code = getattr(error, "sqlite_errorcode", 0)
            raise StateError(
                path,
                f"cannot be used ({error})",
                "give each client a writable folder of its own",
                in_use=code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED),
            ) from error

    @classmethod
    def _opened(cls, path: Path, epoch: str) -> Self:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            # Exclusive: no second client, and no shared-memory file. FULL: a commit is on disk.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            _check(connection)
            connection.executescript(_SCHEMA)
            store = cls(connection, epoch)
            with store.transaction():
                store._begin_epoch()
        except BaseException:
            connection.close()
            raise
        return store

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside, or nothing of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def add_decision(self, sequence: int, body: bytes) -> None:
        """Add a record; ``sequence`` follows the last one of this epoch."""
        self._connection.execute(
            "INSERT INTO decisions VALUES (?, ?, ?, '', ?, ?)",
            (self._epoch_number, sequence, sequence, body, zlib.crc32(body)),
        )

    def add_gap(self, gap: Gap) -> None:
        """Say that ``gap`` will never come; it grows the gap before it when it can."""
        grown = self._connection.execute(
            "UPDATE decisions SET last_sequence = ? WHERE epoch = ? AND gap_reason = ? "
            "AND last_sequence = ?",
            (gap.last, self._epoch_number, gap.reason, gap.first - 1),
        )
        if grown.rowcount == 0:
            self._connection.execute(
                "INSERT OR IGNORE INTO decisions VALUES (?, ?, ?, ?, x'', 0)",
                (self._epoch_number, gap.first, gap.last, gap.reason),
            )

    def add_outcome(self, body: bytes) -> None:
        """Add a report."""
        self._connection.execute(
            "INSERT INTO outcomes (body, crc32) VALUES (?, ?)", (body, zlib.crc32(body))
        )

    def batch(self, most: int) -> Batch | None:
        """Return at most ``most`` of the oldest records, at most 1 MiB; None: all is sent."""
        first = self._connection.execute("SELECT min(epoch) FROM decisions").fetchone()[0]
        if first is None:
            return None
        name = self._connection.execute("SELECT name FROM epochs WHERE number = ?", (first,))
        rows = self._connection.execute(
            "SELECT sequence, last_sequence, gap_reason, body, crc32 FROM decisions "
            "WHERE epoch = ? ORDER BY sequence LIMIT ?",
            (first, _MOST_ROWS),
        )
        return _batch(name.fetchone()[0], rows, min(most, MOST_RECORDS))

    def settle(self, epoch: str, through: int) -> None:
        """Drop the records of ``epoch`` up to ``through``, and epochs that are over."""
        self._connection.execute(
            "DELETE FROM decisions WHERE last_sequence <= ? "
            "AND epoch = (SELECT number FROM epochs WHERE name = ?)",
            (through, epoch),
        )
        self._connection.execute(
            "DELETE FROM epochs WHERE number <> ? "
            "AND number NOT IN (SELECT DISTINCT epoch FROM decisions)",
            (self._epoch_number,),
        )

    def give_up(self, epoch: str, sequence: int, reason: str) -> None:
        """Turn one record into a gap: no gateway will ever take it."""
        self._connection.execute(
            "UPDATE decisions SET gap_reason = ?, body = x'', crc32 = 0 WHERE sequence = ? "
            "AND epoch = (SELECT number FROM epochs WHERE name = ?)",
            (reason, sequence, epoch),
        )

    def outcomes(self, most: int) -> tuple[Outcome, ...]:
        """Return the oldest sound reports; a damaged one is dropped."""
        rows = self._connection.execute(
            "SELECT number, body, crc32 FROM outcomes ORDER BY number LIMIT ?", (most,)
        ).fetchall()
        self.drop_outcomes([number for number, body, crc in rows if zlib.crc32(body) != crc])
        return tuple(
            Outcome(number=number, body=body)
            for number, body, crc in rows
            if zlib.crc32(body) == crc
        )

    def drop_outcomes(self, numbers: Sequence[int]) -> None:
        """Drop reports that are settled."""
        self._connection.executemany(
            "DELETE FROM outcomes WHERE number = ?", [(number,) for number in numbers]
        )

    def sizes(self) -> tuple[int, int, int]:
        """Return the decisions that wait, their bytes, and the bytes of outcomes."""
        count, size = self._connection.execute(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM decisions WHERE gap_reason = ''"
        ).fetchone()
        outcomes = self._connection.execute("SELECT coalesce(sum(length(body)), 0) FROM outcomes")
        return count, size, outcomes.fetchone()[0]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _begin_epoch(self) -> None:
        cursor = self._connection.execute("INSERT INTO epochs (name) VALUES (?)", (self._epoch,))
        self._epoch_number = cursor.lastrowid or 0
        self.settle("", 0)


def _check(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("failed its check")


def _batch(epoch: str, rows: Iterator[tuple[int, int, str, bytes, int]], most: int) -> Batch:
    decisions: list[bytes] = []
    gaps: list[Gap] = []
    left, through = MOST_BATCH_BYTES - _BATCH_OVERHEAD, 0
    for first, last, reason, body, crc in rows:
        if not reason and zlib.crc32(body) != crc:
            reason = "CORRUPT"
        if reason and len(gaps) == MOST_GAPS:
            break
        if reason:
            gaps.append(Gap(first=first, last=last, reason=reason))
        else:
            left -= len(body) + _RECORD_OVERHEAD
            if len(decisions) == most or (decisions and left < 0):
                break
            decisions.append(body)
        through = last
    return Batch(epoch=epoch, decisions=tuple(decisions), gaps=tuple(gaps), through=through)
