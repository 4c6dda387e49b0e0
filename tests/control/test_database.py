"""The database's two connections: durable, read-only, one state a question, never left open."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import aiosqlite
import pytest

from cloud_sync.archive import Archive
from cloud_sync.database import Database
from cloud_sync.errors import StoreUnavailableError

SWEEP = """
import asyncio, sys
from pathlib import Path
from cloud_sync.archive import Archive
from cloud_sync.database import Database

PATH = Path(sys.argv[1])

async def use(number):
    async with Database.open(PATH, "367") as database:
        archive = Archive(database)
        while True:
            await asyncio.gather(
                database.write(lambda connection: connection.execute("DELETE FROM gaps").rowcount),
                archive.streams(),
                archive.redemption_changes(0),
            )

async def cancelled():
    reached = set()
    for number in range(40):
        task = asyncio.create_task(use(number))
        await asyncio.sleep(number / 2000)
        task.cancel()
        if number % 2:
            await asyncio.sleep(0)
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            reached.add(PATH.exists())
        else:
            sys.exit("was not cancelled")
    if True not in reached:
        sys.exit("never came as far as the file")

async def abandoned():
    task = asyncio.create_task(use(0))
    while not PATH.with_name(PATH.name + "-wal").exists():
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    return task

async def failed():
    async with Database.open(PATH, "367") as database:
        await Archive(database).streams()
        raise LookupError

async def refused():
    async with Database.open(PATH, "367") as database:
        await Archive(database).streams()
    async with Database.open(PATH, "368") as database:
        pass

try:
    asyncio.run(globals()[sys.argv[2]]())
except Exception as exc:
    print(type(exc).__name__)
"""


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("cancelled", ""),
        ("abandoned", ""),
        ("failed", "LookupError"),
        ("refused", "StoreMismatchError"),
    ],
)
async def test_however_it_ends_no_connection_keeps_the_interpreter(
    tmp_path: Path, ending: str, said: str
) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", SWEEP, str(tmp_path / "db"), ending],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, said, "")


async def test_what_is_written_is_on_disk_at_every_commit(database: Database) -> None:
    def settings(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    # A transaction cannot change these, so what it sees is what every commit has: 2 is FULL.
    assert await database.write(settings) == ["wal", 2, 1]


async def count(connection: aiosqlite.Connection) -> int:
    ((found,),) = await connection.execute_fetchall("SELECT COUNT(*) FROM gaps")
    return int(found)


def one_gap(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO gaps (source, origin, epoch, first_sequence, last_sequence, lost_count,"
        " reason, recorded_ms) VALUES (0, '', 'e', (SELECT COUNT(*) FROM gaps), 0, 1, '', 0)"
    )


async def test_a_question_sees_one_state_however_long_it_takes(database: Database) -> None:
    async with database.read() as connection:
        assert await count(connection) == 0
        await database.write(one_gap)
        assert await count(connection) == 0
    async with database.read() as connection:
        assert await count(connection) == 1


async def test_a_question_that_is_given_up_holds_no_old_state(database: Database) -> None:
    asked = asyncio.Event()

    async def ask() -> None:
        async with database.read() as connection:
            await count(connection)
            asked.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(ask())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.write(one_gap)
    async with database.read() as connection:
        assert await count(connection) == 1


async def test_the_reading_connection_cannot_write(database: Database) -> None:
    async def write() -> None:
        async with database.read() as connection:
            await connection.execute_fetchall("PRAGMA query_only=OFF")
            await connection.execute_fetchall("DELETE FROM meta")

    with pytest.raises(StoreUnavailableError, match="readonly"):
        await write()
    assert await Archive(database).redemption_cursor() > 0


async def test_a_write_that_is_given_up_takes_nobody_with_it(database: Database) -> None:
    writes = [asyncio.create_task(database.write(one_gap)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in writes[::2]:
        task.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    assert [task.cancelled() for task in writes] == [True, False] * 10
    async with database.read() as connection:
        assert await count(connection) >= 10


async def test_what_was_handed_over_before_the_end_is_written(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db", "367") as database:
        writes = [asyncio.create_task(database.write(one_gap)) for _ in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)
    with pytest.raises(StoreUnavailableError, match="closed"):
        await database.write(one_gap)
    with pytest.raises(StoreUnavailableError, match="closed"):
        await Archive(database).streams()
    async with Database.open(tmp_path / "db", "367") as again, again.read() as connection:
        assert await count(connection) == 20
