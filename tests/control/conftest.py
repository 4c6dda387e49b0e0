"""What the control process's tests share: a hand-moved clock and a real database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud_sync.archive import Archive
from cloud_sync.database import Database
from cloud_sync.inbox import Inbox


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2017, 11, 27, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, span: timedelta) -> None:
        self.now += span


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(tmp_path / "inbox.sqlite3", "367") as opened:
        yield opened


@pytest.fixture
def inbox(database: Database, clock: Clock) -> Inbox:
    return Inbox(database, clock)


@pytest.fixture
def archive(database: Database) -> Archive:
    return Archive(database)
