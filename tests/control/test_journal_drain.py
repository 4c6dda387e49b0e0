"""The journal reaches the disk once, whatever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud_sync.archive import Archive
from cloud_sync.database import Database
from cloud_sync.errors import StoreUnavailableError
from cloud_sync.inbox import Inbox
from cloud_sync.records import Batch, BatchResult
from gateway.journal import JournalReader, JournalWriter
from gateway.journal_drain import JournalDrain
from posgate.box.v1 import serving_pb2 as box_pb
from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import encode_request, instant_to_pb
from tests.gateway.baskets import basket, line

DECIDED = datetime(2017, 11, 22, 17, 0, tzinfo=UTC)


def record(request_id: str, *, request: bytes | None = None) -> box_pb.JournalRecord:
    whole = basket([line(1, "milk"), line(2, "milk", loyalty=50), line(3, "rum", voided=True)])
    if request is None:
        request = encode_request(request_id, whole, ("price_check",)).SerializeToString()
    response = pb.EvaluateResponse(request_id=request_id, decision_id=f"367-x-{request_id}")
    return box_pb.JournalRecord(
        decided_time=instant_to_pb(DECIDED),
        request=request,
        response=response.SerializeToString(),
        request_sha256=b"\1" * 32,
        scored=[box_pb.ScoredRows(model_digest="m", rows=b"\0" * 8, scores=b"\0" * 4)],
    )


@contextmanager
def writer(path: Path, epoch: str, size_bytes: int = 1 << 16) -> Iterator[JournalWriter]:
    with JournalWriter.open(path, size_bytes, epoch) as opened:
        yield opened


async def drained(path: Path, drain: JournalDrain) -> int:
    with JournalReader.open(path) as reader:
        return await drain.drain(reader)


async def ask(database: Database, sql: str) -> list[tuple[object, ...]]:
    async with database.read() as connection:
        return [tuple(row) for row in await connection.execute_fetchall(sql)]


class DyingInbox:
    """Stores, and dies before it can say so."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    async def accept_batch(self, batch: Batch) -> BatchResult:
        await self.inbox.accept_batch(batch)
        raise StoreUnavailableError("killed")


async def test_records_reach_the_disk_with_what_replays_them(
    tmp_path: Path, inbox: Inbox, archive: Archive, database: Database
) -> None:
    path = tmp_path / "journal"
    with writer(path, "e1") as ring:
        ring.append(record("a"))
        ring.append(record("b"))
        assert await drained(path, JournalDrain(path, inbox, archive)) == 2
        assert ring.used_share == 0
    kept = await archive.decision("367-x-a")
    assert kept is not None
    assert (kept.epoch, kept.sequence, kept.request_id) == ("e1", 1, "a")
    ((scored, items, key),) = await ask(
        database, "SELECT scored, items, sale_key FROM decisions WHERE sequence = 1"
    )
    assert isinstance(scored, bytes)
    assert box_pb.JournalRecord.FromString(scored).scored[0].model_digest == "m"
    assert items == '[["milk",2,1]]'
    assert key == "367/4/2017-11-22/7"


async def test_killed_between_commit_and_freeing_nothing_is_lost_or_doubled(
    tmp_path: Path, inbox: Inbox, archive: Archive, database: Database
) -> None:
    path = tmp_path / "journal"
    with writer(path, "e1") as ring:
        ring.append(record("a"))
        with pytest.raises(StoreUnavailableError):
            await drained(path, JournalDrain(path, DyingInbox(inbox), archive))
        ring.append(record("b"))
        await drained(path, JournalDrain(path, inbox, archive))
        assert ring.used_share == 0
    assert await ask(database, "SELECT sequence FROM decisions ORDER BY 1") == [(1,), (2,)]
    assert await ask(database, "SELECT 1 FROM gaps") == []


async def test_emptying_the_journal_while_it_is_drained_stores_each_record_once(
    tmp_path: Path, inbox: Inbox, archive: Archive, database: Database
) -> None:
    path = tmp_path / "journal"
    drain = JournalDrain(path, inbox, archive)
    with writer(path, "e1") as ring:
        running = asyncio.create_task(drain.run())
        for number in range(40):
            ring.append(record(f"r{number}"))
            if number % 10 == 9:
                await drain.empty()
                assert ring.used_share == 0
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert await ask(database, "SELECT COUNT(*) FROM decisions") == [(40,)]
    assert await ask(database, "SELECT 1 FROM gaps") == []
    assert drain.drained_count == 40


async def test_a_journal_that_is_not_there_is_empty(
    tmp_path: Path, inbox: Inbox, archive: Archive
) -> None:
    await JournalDrain(tmp_path / "journal", inbox, archive).empty()


async def test_a_killed_servings_records_are_drained_with_its_successors(
    tmp_path: Path, inbox: Inbox, archive: Archive, database: Database
) -> None:
    path = tmp_path / "journal"
    with writer(path, "e1") as ring:
        ring.append(record("a"))
    with writer(path, "e2") as ring:
        ring.append(record("b"))
        await drained(path, JournalDrain(path, inbox, archive))
    assert await ask(database, "SELECT epoch, sequence FROM decisions ORDER BY 1") == [
        ("e1", 1),
        ("e2", 1),
    ]


async def test_a_full_ring_becomes_a_gap_record_of_its_size(
    tmp_path: Path, inbox: Inbox, archive: Archive, database: Database
) -> None:
    path = tmp_path / "journal"
    drain = JournalDrain(path, inbox, archive)
    with writer(path, "e1") as ring:
        taken = 0
        while ring.append(record(f"r{taken}")):
            taken += 1
        ring.append(record("lost too"))
        while await drained(path, drain):
            pass
    # Serving dies before it can tell; its successor does.
    with writer(path, "e2") as ring:
        ring.append(record("next"))
        await drained(path, drain)
    assert await ask(database, "SELECT COUNT(*) FROM decisions") == [(taken + 1,)]
    assert await ask(database, "SELECT epoch, first_sequence, lost_count, reason FROM gaps") == [
        ("e2", 1, 2, "JOURNAL_FULL")
    ]


async def test_damage_in_the_ring_becomes_a_gap_record(
    tmp_path: Path, inbox: Inbox, archive: Archive, database: Database
) -> None:
    path = tmp_path / "journal"
    with writer(path, "e1") as ring:
        for name in "abc":
            ring.append(record(name))
        raw = bytearray(path.read_bytes())
        at = raw.index(b"367-x-b")
        with path.open("r+b") as file:
            file.seek(at)
            file.write(b"X")
        drain = JournalDrain(path, inbox, archive)
        while await drained(path, drain):
            pass
        ring.append(record("d"))
        await drained(path, drain)
    stored = await ask(database, "SELECT sequence FROM decisions ORDER BY 1")
    gaps = await ask(database, "SELECT first_sequence, last_sequence FROM gaps")
    numbers = {row[0] for row in stored}
    for first, last in gaps:
        assert isinstance(first, int)
        assert isinstance(last, int)
        numbers |= set(range(first, last + 1))
    assert 2 not in {row[0] for row in stored}
    assert numbers == {1, 2, 3, 4}


async def test_poison_in_the_journal_blocks_nothing(
    tmp_path: Path, inbox: Inbox, archive: Archive, database: Database
) -> None:
    path = tmp_path / "journal"
    with writer(path, "e1") as ring:
        ring.append(record("a", request=b"\xff\xff"))
        ring.append(record("b"))
        await drained(path, JournalDrain(path, inbox, archive))
        assert ring.used_share == 0
    assert await ask(database, "SELECT sequence FROM decisions") == [(2,)]
    assert await ask(database, "SELECT sequence FROM rejected") == [(1,)]
    assert await ask(database, "SELECT 1 FROM gaps") == []


async def test_a_disk_that_refuses_leaves_everything_in_the_ring(
    tmp_path: Path, inbox: Inbox, archive: Archive, database: Database
) -> None:
    path = tmp_path / "journal"
    drain = JournalDrain(path, inbox, archive)
    await database.write(lambda connection: connection.execute("PRAGMA query_only=ON"))
    with writer(path, "e1") as ring:
        ring.append(record("a"))
        with pytest.raises(StoreUnavailableError):
            await drained(path, drain)
        assert ring.used_share > 0


async def test_finish_drains_what_is_left_and_does_not_mind_that_there_is_none(
    tmp_path: Path, inbox: Inbox, archive: Archive, database: Database
) -> None:
    path = tmp_path / "journal"
    drain = JournalDrain(path, inbox, archive)
    await drain.finish()
    with writer(path, "e1") as ring:
        for number in range(200):
            if not ring.append(record(f"r{number}")):
                break
        await drain.finish()
        assert ring.used_share == 0
    ((count,),) = await ask(database, "SELECT COUNT(*) FROM decisions")
    assert count == drain.drained_count
