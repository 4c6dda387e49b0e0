"""The durable inbox: once each, superseded right, whole or not at all."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from cloud_sync.archive import Archive
from cloud_sync.database import Database
from cloud_sync.errors import StoreMismatchError, StoreUnavailableError
from cloud_sync.inbox import Inbox
from cloud_sync.records import (
    ANSWER_OVERHEAD_BYTES,
    Batch,
    Gap,
    OutcomeStatus,
    PoisonRecord,
    SaleEnd,
)
from tests.control.conftest import Clock
from tests.control.records_made import JOURNAL, LANE_4, decision, facts, journal, outcome, spool


async def ask(database: Database, sql: str) -> list[tuple[object, ...]]:
    async with database.read() as connection:
        return [tuple(row) for row in await connection.execute_fetchall(sql)]


async def test_a_repeated_upload_is_counted_and_stored_once(
    inbox: Inbox, database: Database
) -> None:
    batch = spool(decision(1), decision(2))
    first = await inbox.accept_batch(batch)
    again = await inbox.accept_batch(batch)
    assert (first.duplicate_count, again.duplicate_count) == (0, 2)
    assert again.stored == ()
    assert await ask(database, "SELECT COUNT(*) FROM decisions") == [(2,)]
    assert await ask(database, "SELECT stream, sequence FROM outbox") == [
        ("decisions", 1),
        ("decisions", 2),
    ]


async def test_the_same_decision_under_a_renewed_spool_epoch_is_a_duplicate(
    inbox: Inbox, database: Database
) -> None:
    await inbox.accept_batch(spool(decision(7)))
    renewed = Batch(
        origin=type(LANE_4)(source=LANE_4.source, workstation_id="4", epoch="s2"),
        decisions=(decision(1, "r7", decision_id="367-e1-7"),),
    )
    assert (await inbox.accept_batch(renewed)).duplicate_count == 1
    assert await ask(database, "SELECT COUNT(*) FROM decisions") == [(1,)]


@pytest.mark.parametrize("upload_first", [True, False])
async def test_what_the_register_acted_on_supersedes_the_boxes_answer(
    inbox: Inbox, archive: Archive, database: Database, upload_first: bool
) -> None:
    box = journal(decision(1, "r", decision_id="box"))
    lane = spool(decision(9, "r", decision_id="lane", fallback_reason="timeout"))
    for batch in (lane, box) if upload_first else (box, lane):
        await inbox.accept_batch(batch)
    kept = await archive.decision("box")
    record = await archive.decision("lane")
    assert kept is not None
    assert kept.superseded_by == "lane"
    assert record is not None
    assert record.superseded_by == ""
    assert await ask(database, "SELECT COUNT(*) FROM decisions WHERE superseded_by IS NULL") == [
        (1,)
    ]
    assert await ask(database, "SELECT event FROM outbox ORDER BY sequence") == [
        ("decided",),
        ("decided",),
        ("superseded",),
    ]


async def test_poison_is_kept_aside_once_and_blocks_nothing(
    inbox: Inbox, database: Database
) -> None:
    batch = Batch(
        origin=LANE_4,
        decisions=(decision(1), decision(3)),
        poison=(PoisonRecord(sequence=2, reason="request.request_id is malformed", body=b"\xff"),),
        gaps=(Gap(first_sequence=4, last_sequence=6, lost_count=3, reason="SPOOL_FULL"),),
    )
    await inbox.accept_batch(batch)
    again = await inbox.accept_batch(batch)
    assert again.duplicate_count == 3
    assert await ask(database, "SELECT sequence FROM decisions") == [(1,), (3,)]
    assert await ask(database, "SELECT sequence, body FROM rejected") == [(2, b"\xff")]
    assert await ask(database, "SELECT first_sequence, last_sequence, lost_count FROM gaps") == [
        (4, 6, 3)
    ]


async def test_an_outcome_is_idempotent_and_its_id_cannot_name_another(
    inbox: Inbox, database: Database
) -> None:
    paid = outcome("o1", SaleEnd.COMPLETED)
    other = outcome("o1", SaleEnd.VOIDED)
    assert await inbox.accept_outcomes([paid, paid]) == [
        OutcomeStatus.ACCEPTED,
        OutcomeStatus.DUPLICATE,
    ]
    assert await inbox.accept_outcomes([other]) == [OutcomeStatus.CONFLICT]
    assert await ask(database, "SELECT sale_end FROM outcomes") == [(1,)]


async def test_producers_share_commits(inbox: Inbox, database: Database) -> None:
    before = database.commit_count
    await asyncio.gather(
        *(inbox.accept_batch(spool(decision(n, decision_id=f"d{n}"))) for n in range(1, 33))
    )
    assert await ask(database, "SELECT COUNT(*) FROM decisions") == [(32,)]
    assert database.commit_count - before <= 4


async def test_a_unit_that_fails_is_undone_alone(inbox: Inbox, database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO meta VALUES ('half', '1')")
        raise RuntimeError("half way")

    failed, stored = await asyncio.gather(
        database.write(half), inbox.accept_batch(spool(decision(1))), return_exceptions=True
    )
    assert isinstance(failed, RuntimeError)
    assert not isinstance(stored, BaseException)
    assert await ask(database, "SELECT 1 FROM meta WHERE name = 'half'") == []
    assert await ask(database, "SELECT COUNT(*) FROM decisions") == [(1,)]


async def test_a_full_disk_stores_nothing_and_heals(inbox: Inbox, database: Database) -> None:
    await inbox.accept_batch(spool(decision(1)))

    def limit(connection: sqlite3.Connection, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    (pages,) = (await ask(database, "PRAGMA page_count"))[0]
    assert isinstance(pages, int)
    await database.write(lambda connection: limit(connection, pages))
    large = spool(*(decision(n, request=bytes(9000)) for n in range(2, 40)))
    with pytest.raises(StoreUnavailableError):
        await inbox.accept_batch(large)
    assert await ask(database, "SELECT COUNT(*) FROM decisions") == [(1,)]
    await database.write(lambda connection: limit(connection, 2**30))
    assert (await inbox.accept_batch(large)).duplicate_count == 0
    assert await ask(database, "SELECT COUNT(*) FROM decisions") == [(39,)]
    assert await ask(database, "SELECT MAX(sequence), COUNT(*) FROM outbox") == [(39, 39)]


async def test_a_database_of_another_store_is_refused(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db", "367"):
        pass
    with pytest.raises(StoreMismatchError, match=r"store 367's.*state_dir"):
        async with Database.open(tmp_path / "db", "368"):
            pass


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "db", "367") as database:
        await database.write(lambda connection: connection.execute("PRAGMA user_version=99"))
    with pytest.raises(StoreMismatchError, match="schema 99"):
        async with Database.open(tmp_path / "db", "367"):
            pass


async def test_a_disk_that_refuses_at_the_start_is_taken_when_it_heals(
    tmp_path: Path, clock: Clock
) -> None:
    blocker = tmp_path / "state"
    blocker.write_text("")
    async with Database.open(blocker / "db", "367") as database:
        inbox = Inbox(database, clock)
        with pytest.raises(StoreUnavailableError):
            await inbox.accept_batch(spool(decision(1)))
        with pytest.raises(StoreUnavailableError):
            await Archive(database).decision("x")
        blocker.unlink()
        await inbox.accept_batch(spool(decision(1)))
        assert await ask(database, "SELECT COUNT(*) FROM decisions") == [(1,)]


async def test_recent_answers_are_the_newest_of_the_box_within_age_and_cap(
    inbox: Inbox, archive: Archive
) -> None:
    await inbox.accept_batch(journal(*(decision(n) for n in range(1, 11))))
    await inbox.accept_batch(spool(decision(11, decision_id="lane")))
    size = len(b"answer to r9") + ANSWER_OVERHEAD_BYTES
    since = decision(2).decided
    all_kept = await archive.recent_answers(since, 10**6)
    assert [answer.request_id for answer in all_kept] == [f"r{n}" for n in range(2, 11)]
    capped = await archive.recent_answers(since, 2 * size + 2)
    assert [answer.request_id for answer in capped] == ["r9", "r10"]
    assert capped[0].response == b"answer to r9"


async def test_the_journals_last_sequence_is_known_per_epoch(
    inbox: Inbox, archive: Archive
) -> None:
    poison = PoisonRecord(sequence=3, reason="x", body=b"")
    await inbox.accept_batch(Batch(origin=JOURNAL, decisions=(decision(2),), poison=(poison,)))
    assert await archive.last_sequence("e1") == 3
    assert await archive.last_sequence("e2") == 0


async def test_a_decision_completed_later_supersedes_itself_and_counts_once(
    inbox: Inbox, archive: Archive, database: Database
) -> None:
    sold = facts(milk=(2, 1))
    named: dict[str, object] = {"request_id": "r1", "about": sold, "decision_id": "367-e1-1"}
    await inbox.accept_batch(journal(decision(1, **named)))  # type: ignore[arg-type]
    await inbox.accept_outcomes([outcome("o1", SaleEnd.COMPLETED, decision_id="367-e1-1")])
    completed = decision(2, **named, response=b"completed")  # type: ignore[arg-type]
    result = await inbox.accept_batch(journal(completed))
    assert result.duplicate_count == 0
    stands = await archive.decision("367-e1-1")
    assert stands is not None
    assert (stands.response, stands.superseded_by) == (b"completed", "")
    rows = (await archive.store_log_rows(0)).rows
    assert [(row.item_id, row.line_count) for row in rows] == [("milk", 2)]
    kept = await archive.recent_answers(decision(1).decided, 10**6)
    assert [answer.response for answer in kept] == [b"answer to r1", b"completed"]
