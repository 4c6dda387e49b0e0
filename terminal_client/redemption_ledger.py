"""What is redeemed, as this terminal knows it: the store's view, and its own sales on top.

The store's view comes from the box and is kept on disk, so that a terminal that starts alone
knows what was used up. What the terminal itself reported counts at once, and stands on top until
the box has taken it; then the box's word is enough.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from terminal_client.core.redemptions import RedemptionView

_SCHEMA = """
CREATE TABLE IF NOT EXISTS redeemed (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS feed (
    one INTEGER PRIMARY KEY CHECK (one = 1), cursor INTEGER NOT NULL, as_of_us INTEGER
);
INSERT OR IGNORE INTO feed VALUES (1, 0, NULL);
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedChanges:
    """What the box said since ``cursor``: ``changes`` in order, complete up to ``as_of``."""

    reset: bool
    changes: tuple[tuple[str, bool], ...]
    next_cursor: int
    as_of: datetime | None


class _Layered(Set[str]):
    """The store's keys with the terminal's own changes on top; never changes."""

    def __init__(self, store: frozenset[str], own: Mapping[str, bool]) -> None:
        self._store = store
        self._own = own

    def __contains__(self, key: object) -> bool:
        own = self._own.get(key) if isinstance(key, str) else None
        return key in self._store if own is None else own

    def __iter__(self) -> Iterator[str]:
        yield from (key for key in self._store if self._own.get(key, True))
        yield from (key for key, used in self._own.items() if used and key not in self._store)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class RedemptionLedger:
    """Thread-safe. Reading the view takes no lock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        keys = connection.execute("SELECT key FROM redeemed")
        self._store = frozenset(key for (key,) in keys)
        self._cursor: int
        self._cursor, as_of_us = connection.execute("SELECT cursor, as_of_us FROM feed").fetchone()
        self._as_of = None if as_of_us is None else datetime.fromtimestamp(as_of_us / 1e6, UTC)
        self._own: dict[str, dict[str, bool]] = {}
        self._layer: dict[str, bool] = {}
        self._view = self._make_view()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or make the ledger at ``path``; an unsound file is begun anew.

        What is lost with it comes back with the box's next answer.

        Raises: sqlite3.Error, OSError: the folder cannot be written.
        """
        try:
            return cls._opened(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            path.unlink()
            return cls._opened(path)

    @classmethod
    def _opened(cls, path: Path) -> Self:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)
            return cls(connection)
        except BaseException:
            connection.close()
            raise

    @property
    def view(self) -> RedemptionView:
        """What counts now; it never changes afterwards."""
        return self._view

    @property
    def cursor(self) -> int:
        """Where to go on asking the box."""
        return self._cursor

    def note_own(self, request_id: str, changes: Mapping[str, bool]) -> None:
        """Let a report of this terminal count at once."""
        if changes:
            with self._lock:
                self._own[request_id] = dict(changes)
                self._layer = self._layer | dict(changes)
                self._view = self._make_view()

    def settle_own(self, request_ids: Iterable[str], *, taken: bool) -> None:
        """Note that the box took these reports, or never will.

        Raises: sqlite3.Error: the disk refuses.
        """
        with self._lock:
            settled = [self._own.pop(name) for name in request_ids if name in self._own]
            if not settled:
                return
            if taken:
                changes = [change for report in settled for change in report.items()]
                self._apply(changes, reset=False)
            self._layer = {}
            for report in self._own.values():
                self._layer |= report
            self._view = self._make_view()

    def take_feed(self, feed: FeedChanges) -> None:
        """Take what the box said, whole or not at all. Raises: sqlite3.Error."""
        with self._lock:
            as_of_us = None if feed.as_of is None else _micros(feed.as_of)
            self._apply(feed.changes, reset=feed.reset, feed=(feed.next_cursor, as_of_us))
            self._cursor, self._as_of = feed.next_cursor, feed.as_of
            self._view = self._make_view()

    def close(self) -> None:
        """Close the file. May be called twice."""
        with self._lock:
            self._connection.close()

    def _apply(
        self,
        changes: Iterable[tuple[str, bool]],
        *,
        reset: bool,
        feed: tuple[int, int | None] | None = None,
    ) -> None:
        final = dict(changes)
        used = [(key,) for key, redeemed in final.items() if redeemed]
        free = [(key,) for key, redeemed in final.items() if not redeemed]
        execute, many = self._connection.execute, self._connection.executemany
        execute("BEGIN IMMEDIATE")
        try:
            if reset:
                execute("DELETE FROM redeemed")
            many("INSERT OR IGNORE INTO redeemed VALUES (?)", used)
            many("DELETE FROM redeemed WHERE key = ?", free)
            if feed is not None:
                execute("UPDATE feed SET cursor = ?, as_of_us = ?", feed)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        kept = frozenset() if reset else self._store
        self._store = (kept | {key for (key,) in used}) - {key for (key,) in free}

    def _make_view(self) -> RedemptionView:
        return RedemptionView(keys=_Layered(self._store, self._layer), as_of=self._as_of)


def _micros(instant: datetime) -> int:
    span = instant - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
