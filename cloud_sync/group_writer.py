"""The writing connection: a group of units in one transaction, one hop to its thread.

A unit is a plain function of a ``sqlite3`` connection, run where the connection lives, so no
cancelled call can stop it between two statements. aiosqlite owns the thread and calls what
its connection offers, a statement at a time; a group is therefore run by ``commit`` of a
connection class of our own, given to aiosqlite as the standard library's ``factory``.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import aiosqlite

T = TypeVar("T")
Unit = Callable[[sqlite3.Connection], T]
Outcome = tuple[Any, Exception | None]
"""What a unit returned, and why it was undone; None: it is on disk."""


class _Group:
    def __init__(self, units: Sequence[Unit[Any]]) -> None:
        self.units = units
        self.outcomes: list[Outcome] = []


class _GroupConnection(sqlite3.Connection):
    """A connection whose ``commit`` runs the group handed over before it."""

    def __init__(self, handed: deque[_Group], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handed = handed

    def commit(self) -> None:
        """Run the oldest group; all of it is on disk when this returns.

        Raises: sqlite3.Error: the disk refused; nothing of the group is stored.
        """
        group = self._handed.popleft()
        try:
            self.execute("BEGIN IMMEDIATE")
            group.outcomes.extend(self._outcome(unit) for unit in group.units)
            self.execute("COMMIT")
        except BaseException:
            # A full disk has rolled everything back already.
            if self.in_transaction:
                with suppress(sqlite3.Error):
                    self.execute("ROLLBACK")
            raise

    def _outcome(self, unit: Unit[Any]) -> Outcome:
        """Run a unit in a savepoint; one that raises is undone alone."""
        self.execute("SAVEPOINT unit")
        try:
            result = unit(self)
        except Exception as exc:
            # Without a transaction there is no savepoint either, and no group.
            if not self.in_transaction or (isinstance(exc, sqlite3.Error) and not _own(exc)):
                raise
            self.execute("ROLLBACK TO unit")
            self.execute("RELEASE unit")
            return None, exc
        self.execute("RELEASE unit")
        return result, None


class GroupWriter:
    """The one connection that writes. Used by one task at a time."""

    def __init__(self, connection: aiosqlite.Connection, handed: deque[_Group]) -> None:
        """Use ``open``."""
        self._connection = connection
        self._handed = handed

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open a file that is there. It must be closed: its thread outlives the loop.

        Raises: sqlite3.Error: the disk refuses.
        """
        handed: deque[_Group] = deque()
        connection = await aiosqlite.connect(
            path, timeout=2.0, isolation_level=None, factory=partial(_GroupConnection, handed)
        )
        try:
            await connection.execute_fetchall("PRAGMA synchronous=FULL")
            await connection.execute_fetchall("PRAGMA foreign_keys=ON")
        except BaseException:
            await connection.close()
            raise
        return cls(connection, handed)

    async def run(self, units: Sequence[Unit[Any]]) -> Sequence[Outcome]:
        """Run ``units`` in one transaction; return their outcomes once it is on disk.

        Cancelling gives up waiting: the group is still run, and may be stored.

        Raises: sqlite3.Error: the disk refused; nothing of the group is stored.
        """
        group = _Group(units)
        self._handed.append(group)
        await self._connection.commit()
        return group.outcomes

    async def close(self) -> None:
        """Close the connection when the groups before are done."""
        await self._connection.close()


def _own(exc: sqlite3.Error) -> bool:
    """Tell a unit's own mistake from a disk that refuses."""
    return isinstance(exc, sqlite3.IntegrityError | sqlite3.ProgrammingError)
