"""The spool: in order, on disk, bounded, and honest about what it could not keep."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal_client import spool_store
from terminal_client.errors import StateError
from terminal_client.spool import Spool
from terminal_client.spool_store import MOST_BATCH_BYTES, MOST_GAPS, MOST_RECORDS, Gap, SpoolStore

CAP = 2**20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite3"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    spool = Spool.open(path, CAP)
    yield spool
    spool.close()


def fill(spool: Spool, count: int, size: int = 100) -> list[bool]:
    receipts = [spool.append(lambda n: n.to_bytes(size, "big")) for _ in range(count)]
    return [receipt.wait(10) for receipt in receipts]


def test_records_come_back_in_order_and_stay_until_they_are_settled(spool: Spool) -> None:
    assert all(fill(spool, 10))
    batch = spool.batch(256)
    assert batch is not None
    assert [int.from_bytes(body, "big") for body in batch.decisions] == list(range(1, 11))
    assert (batch.epoch, batch.gaps, batch.through) == (spool.epoch, (), 10)
    spool.settle(batch.epoch, 4)
    rest = spool.batch(256)
    assert rest is not None
    assert [int.from_bytes(body, "big") for body in rest.decisions] == list(range(5, 11))
    spool.settle(rest.epoch, 10)
    assert spool.batch(256) is None
    assert spool.counts.waiting == spool.counts.waiting_bytes == 0


def test_every_opening_is_an_epoch_and_older_ones_go_first(path: Path) -> None:
    epochs = []
    for _ in range(3):
        spool = Spool.open(path, CAP)
        fill(spool, 2)
        epochs.append(spool.epoch)
        spool.close()
    assert len(set(epochs)) == 3
    spool = Spool.open(path, CAP)
    for epoch in epochs:
        batch = spool.batch(256)
        assert batch is not None
        assert (batch.epoch, batch.through, len(batch.decisions)) == (epoch, 2, 2)
        spool.settle(epoch, 2)
    assert spool.batch(256) is None
    spool.close()


def test_a_batch_keeps_to_the_contract_s_limits(path: Path) -> None:
    spool = Spool.open(path, 2**24)
    fill(spool, 300, size=10)
    batch = spool.batch(MOST_RECORDS)
    assert batch is not None
    assert len(batch.decisions) == 256
    spool.settle(batch.epoch, 300)
    fill(spool, 30, size=100_000)
    batch = spool.batch(MOST_RECORDS)
    assert batch is not None
    assert len(batch.decisions) == 10
    assert sum(map(len, batch.decisions)) < MOST_BATCH_BYTES
    spool.close()


def test_a_full_spool_keeps_the_oldest_and_says_what_it_dropped(spool: Spool) -> None:
    kept = fill(spool, 30, size=CAP // 10)
    assert kept == [True] * 10 + [False] * 20
    seen: list[int] = []
    gaps: list[Gap] = []
    while (batch := spool.batch(256)) is not None:
        seen += [int.from_bytes(body, "big") for body in batch.decisions]
        gaps += batch.gaps
        spool.settle(batch.epoch, batch.through)
    assert seen == list(range(1, 11))
    assert gaps == [Gap(first=11, last=30, reason="SPOOL_FULL")]
    assert spool.counts.dropped == 20
    assert fill(spool, 1) == [True]


def test_gaps_and_records_alternate_without_holes(spool: Spool) -> None:
    fill(spool, 12, size=CAP // 10)
    spool.settle(spool.epoch, 5)
    fill(spool, 8, size=CAP // 10)
    batches = []
    while (batch := spool.batch(3)) is not None:
        batches.append(batch)
        spool.settle(batch.epoch, batch.through)
    numbers = [int.from_bytes(body, "big") for each in batches for body in each.decisions]
    gaps = [n for each in batches for gap in each.gaps for n in range(gap.first, gap.last + 1)]
    assert sorted([*numbers, *gaps]) == list(range(6, 21))
    assert gaps == [11, 12, 18, 19, 20]


def test_a_record_no_batch_can_hold_becomes_a_gap(path: Path) -> None:
    spool = Spool.open(path, 2**24)
    receipt = spool.append(lambda n: b"x" * MOST_BATCH_BYTES)
    assert not receipt.wait(10)
    assert receipt.lost
    batch = spool.batch(256)
    assert batch is not None
    assert batch.gaps == (Gap(first=1, last=1, reason="TOO_LARGE"),)
    spool.close()


def test_a_record_that_rotted_on_disk_is_a_gap_and_blocks_nothing(path: Path) -> None:
    spool = Spool.open(path, CAP)
    fill(spool, 3)
    epoch = spool.epoch
    spool.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE decisions SET body = x'00' WHERE sequence = 2")
    database.close()
    spool = Spool.open(path, CAP)
    batch = spool.batch(256)
    assert batch is not None
    assert (batch.epoch, batch.through, len(batch.decisions)) == (epoch, 3, 2)
    assert batch.gaps == (Gap(first=2, last=2, reason="CORRUPT"),)
    spool.close()


def test_a_file_that_is_no_database_is_put_aside(path: Path) -> None:
    path.write_bytes(b"not a database, " * 512)
    spool = Spool.open(path, CAP)
    assert fill(spool, 1) == [True]
    spool.close()
    assert path.with_name("spool.sqlite3.damaged").read_bytes().startswith(b"not a database")


def test_one_client_at_a_time(path: Path, spool: Spool) -> None:
    with pytest.raises(StateError, match="a writable folder of its own") as caught:
        Spool.open(path, CAP)
    assert caught.value.in_use
    spool.close()
    Spool.open(path, CAP).close()


def test_an_unwritable_folder_is_no_client_s_fault(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught:
        Spool.open(tmp_path / "missing" / "spool.sqlite3", CAP)
    assert not caught.value.in_use


def test_a_disk_that_fails_for_a_while_leaves_a_gap(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(spool, 2)
    # The disk is the one thing that cannot be made to fail for real here.
    honest = SpoolStore.add_decision

    def broken(store: SpoolStore, sequence: int, body: bytes) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(SpoolStore, "add_decision", broken)
    assert fill(spool, 3) == [False] * 3
    monkeypatch.setattr(SpoolStore, "add_decision", honest)
    assert fill(spool, 1) == [True]
    batch = spool.batch(256)
    assert batch is not None
    assert [int.from_bytes(body, "big") for body in batch.decisions] == [1, 2, 6]
    assert batch.gaps == (Gap(first=3, last=5, reason="DISK_ERROR"),)


def test_many_lanes_share_one_spool_without_holes(spool: Spool) -> None:
    threads = [threading.Thread(target=fill, args=(spool, 50)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen: list[int] = []
    while (batch := spool.batch(256)) is not None:
        seen += [int.from_bytes(body, "big") for body in batch.decisions]
        spool.settle(batch.epoch, batch.through)
    assert seen == list(range(1, 401))


def test_a_record_that_cannot_be_built_uses_up_no_sequence(spool: Spool) -> None:
    def fail(sequence: int) -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        spool.append(fail)
    assert spool.append(lambda n: b"%d" % n).sequence == 1


def test_outcomes_are_bounded_and_kept_in_order(spool: Spool) -> None:
    receipts = [spool.append_outcome(bytes([n]) * (CAP // 40)) for n in range(15)]
    assert [receipt.wait(10) for receipt in receipts] == [True] * 10 + [False] * 5
    waiting = spool.outcomes(256)
    assert [outcome.body[0] for outcome in waiting] == list(range(10))
    spool.drop_outcomes([outcome.number for outcome in waiting[:9]])
    assert [outcome.body[0] for outcome in spool.outcomes(256)] == [9]
    assert spool.counts.dropped_outcomes == 5


def test_after_closing_nothing_is_kept_and_nothing_hangs(spool: Spool) -> None:
    spool.close()
    spool.close()
    receipt = spool.append(lambda n: b"x")
    assert not receipt.wait(1)
    assert receipt.lost
    with pytest.raises(sqlite3.ProgrammingError):
        spool.batch(1)


def test_more_gaps_than_a_box_takes_at_once_go_in_several_batches() -> None:
    rows = [(number, number, "CORRUPT", b"", 0) for number in range(1, MOST_GAPS + 45)]
    first = spool_store._batch("e", iter(rows), 256)
    assert len(first.gaps) == MOST_GAPS
    rest = spool_store._batch("e", iter(rows[first.through :]), 256)
    assert [gap.first for gap in rest.gaps] == list(range(MOST_GAPS + 1, MOST_GAPS + 45))
