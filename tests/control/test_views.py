"""The redemption ledger and the store's log: folds of what is stored, in any order."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from cloud_sync.archive import Archive
from cloud_sync.database import Database
from cloud_sync.inbox import Inbox
from cloud_sync.records import OutcomeRecord, SaleEnd
from tests.control.conftest import Clock
from tests.control.records_made import decision, facts, journal, outcome, spool


async def redeemed(archive: Archive) -> set[str]:
    found = await archive.redemption_changes(0)
    return {change.redemption_key for change in found.changes if change.redeemed}


async def test_completed_redeems_and_voided_releases(inbox: Inbox, archive: Archive) -> None:
    await inbox.accept_outcomes([outcome("o1", SaleEnd.COMPLETED, keys=("a", "b"))])
    assert await redeemed(archive) == {"a", "b"}
    await inbox.accept_outcomes([outcome("o2", SaleEnd.VOIDED, keys=("a",), minute=1)])
    assert await redeemed(archive) == {"b"}


@pytest.mark.parametrize("end", [SaleEnd.ABANDONED, SaleEnd.REVIEW])
async def test_only_a_paid_sale_redeems(inbox: Inbox, archive: Archive, end: SaleEnd) -> None:
    await inbox.accept_outcomes([outcome("o1", end, keys=("a",))])
    assert await redeemed(archive) == set()


STORIES: dict[str, tuple[Sequence[OutcomeRecord], set[str]]] = {
    "paid then voided": (
        [
            outcome("o1", SaleEnd.COMPLETED, keys=("k",)),
            outcome("o2", SaleEnd.VOIDED, keys=("k",), minute=1),
        ],
        set(),
    ),
    "released then paid again": (
        [
            outcome("o1", SaleEnd.COMPLETED, keys=("k",)),
            outcome("o2", SaleEnd.RETURNED, keys=("k",), minute=1, sale="367/4/2017-11-27/2"),
            outcome("o3", SaleEnd.COMPLETED, keys=("k",), minute=2, sale="367/4/2017-11-27/3"),
        ],
        {"k"},
    ),
    "redeemed by two lanes out of touch, one voided": (
        [
            outcome("o1", SaleEnd.COMPLETED, keys=("k",), sale="367/1/2017-11-27/1"),
            outcome("o2", SaleEnd.COMPLETED, keys=("k",), sale="367/2/2017-11-27/1", minute=1),
            outcome("o3", SaleEnd.VOIDED, keys=("k",), sale="367/1/2017-11-27/1", minute=2),
        ],
        {"k"},
    ),
    "voided by a clock set back": (
        [
            outcome("o1", SaleEnd.COMPLETED, keys=("k",), minute=5),
            outcome("o2", SaleEnd.VOIDED, keys=("k",), minute=1),
        ],
        set(),
    ),
    "returned by a clock set back": (
        [
            outcome("o1", SaleEnd.COMPLETED, keys=("k",), minute=5),
            outcome("o2", SaleEnd.RETURNED, keys=("k",), minute=1),
        ],
        set(),
    ),
    "the void of a sale that holds nothing": (
        [
            outcome("o1", SaleEnd.COMPLETED, keys=("k",), sale="367/1/2017-11-27/1"),
            outcome("o2", SaleEnd.VOIDED, keys=("k",), sale="367/2/2017-11-27/1", minute=1),
        ],
        {"k"},
    ),
    "a return that is voided": (
        [
            outcome("o1", SaleEnd.COMPLETED, keys=("k",), sale="367/1/2017-11-27/1"),
            outcome("o2", SaleEnd.RETURNED, keys=("k",), sale="367/2/2017-11-27/1", minute=1),
            outcome("o3", SaleEnd.VOIDED, keys=("k",), sale="367/2/2017-11-27/1", minute=2),
        ],
        {"k"},
    ),
    "voids and sales without a key": (
        [
            outcome("o1", SaleEnd.COMPLETED, keys=("k",), sale=""),
            outcome("o2", SaleEnd.COMPLETED, keys=("k",), sale="", minute=1),
            outcome("o3", SaleEnd.VOIDED, keys=("k",), sale="", minute=2),
        ],
        {"k"},
    ),
}


@pytest.mark.parametrize(("story", "expected"), STORIES.values(), ids=STORIES.keys())
async def test_order_of_arrival_decides_nothing(
    tmp_path: Path, clock: Clock, story: Sequence[OutcomeRecord], expected: set[str]
) -> None:
    for number, order in enumerate(itertools.permutations(story)):
        async with Database.open(tmp_path / f"{number}.sqlite3", "367") as database:
            inbox = Inbox(database, clock)
            for one in order:
                await inbox.accept_outcomes([one])
            assert await redeemed(Archive(database)) == expected, [o.request_id for o in order]


async def test_a_reader_follows_the_cursor_in_pages(inbox: Inbox, archive: Archive) -> None:
    keys = tuple(f"k{n:05d}" for n in range(5000))
    await inbox.accept_outcomes([outcome("o1", SaleEnd.COMPLETED, keys=keys)])
    first = await archive.redemption_changes(0)
    assert (first.reset, first.more, len(first.changes)) == (True, True, 4096)
    second = await archive.redemption_changes(first.next_cursor)
    assert (second.reset, second.more, len(second.changes)) == (False, False, 904)
    assert second.next_cursor == await archive.redemption_cursor()
    quiet = await archive.redemption_changes(second.next_cursor)
    assert (quiet.reset, quiet.changes, quiet.next_cursor) == (False, (), second.next_cursor)
    await inbox.accept_outcomes([outcome("o2", SaleEnd.VOIDED, keys=("k00007",), minute=1)])
    third = await archive.redemption_changes(second.next_cursor)
    assert [(c.redemption_key, c.redeemed) for c in third.changes] == [("k00007", False)]
    assert third.next_cursor > second.next_cursor


async def test_a_cursor_of_another_database_starts_anew(inbox: Inbox, archive: Archive) -> None:
    await inbox.accept_outcomes([outcome("o1", SaleEnd.COMPLETED, keys=("k",))])
    newest = await archive.redemption_cursor()
    for foreign in (1, newest + 1, newest - 2**33, 2**62):
        found = await archive.redemption_changes(foreign)
        assert found.reset
        assert [change.redemption_key for change in found.changes] == ["k"]


async def log(archive: Archive, after: int = 0) -> dict[str, tuple[int, int]]:
    found = await archive.store_log_rows(after)
    return {row.item_id: (row.line_count, row.discounted_line_count) for row in found.rows}


async def test_a_completed_sale_counts_its_decision_of_record(
    inbox: Inbox, archive: Archive
) -> None:
    await inbox.accept_batch(
        journal(
            decision(1, about=facts(revision=1, milk=(1, 0))),
            decision(2, about=facts(revision=2, milk=(2, 1), bread=(1, 0))),
        )
    )
    assert await log(archive) == {}
    await inbox.accept_outcomes(
        [outcome("o1", SaleEnd.COMPLETED, decision_id="367-e1-2", revision=2)]
    )
    assert await log(archive) == {"milk": (2, 1), "bread": (1, 0)}


async def test_the_outcome_may_come_before_the_decision(inbox: Inbox, archive: Archive) -> None:
    await inbox.accept_outcomes([outcome("o1", SaleEnd.COMPLETED, decision_id="367-e1-1")])
    assert await log(archive) == {}
    await inbox.accept_batch(journal(decision(1, about=facts(milk=(1, 1)))))
    assert await log(archive) == {"milk": (1, 1)}


async def test_a_superseding_decision_corrects_the_log(inbox: Inbox, archive: Archive) -> None:
    await inbox.accept_batch(journal(decision(1, "r", about=facts(milk=(3, 3), tea=(1, 0)))))
    await inbox.accept_outcomes([outcome("o1", SaleEnd.COMPLETED, decision_id="367-e1-1")])
    before = await archive.store_log_cursor()
    await inbox.accept_batch(
        spool(decision(1, "r", facts(milk=(3, 0), rum=(1, 1)), decision_id="lane"))
    )
    assert await log(archive) == {"milk": (3, 0), "tea": (0, 0), "rum": (1, 1)}
    assert await log(archive, before) == {"milk": (3, 0), "tea": (0, 0), "rum": (1, 1)}


async def test_a_voided_sale_is_taken_back_and_a_returned_one_stays(
    inbox: Inbox, archive: Archive
) -> None:
    other = "367/5/2017-11-27/9"
    await inbox.accept_batch(
        journal(
            decision(1, about=facts(milk=(1, 1))),
            decision(2, about=facts(sale=other, milk=(1, 0))),
        )
    )
    await inbox.accept_outcomes(
        [
            outcome("o1", SaleEnd.COMPLETED, decision_id="367-e1-1"),
            outcome("o2", SaleEnd.COMPLETED, decision_id="367-e1-2", sale=other),
            outcome("o3", SaleEnd.RETURNED, sale=other, minute=1),
        ]
    )
    assert await log(archive) == {"milk": (2, 1)}
    await inbox.accept_outcomes([outcome("o4", SaleEnd.VOIDED, minute=2)])
    assert await log(archive) == {"milk": (1, 0)}


async def test_a_void_by_a_clock_set_back_is_taken_back_too(inbox: Inbox, archive: Archive) -> None:
    await inbox.accept_batch(journal(decision(1, about=facts(milk=(1, 1)))))
    await inbox.accept_outcomes(
        [
            outcome("o1", SaleEnd.COMPLETED, decision_id="367-e1-1", minute=5),
            outcome("o2", SaleEnd.VOIDED, minute=1),
        ]
    )
    assert await log(archive) == {"milk": (0, 0)}


async def test_one_decision_counts_for_its_own_sale_only(inbox: Inbox, archive: Archive) -> None:
    await inbox.accept_batch(journal(decision(1, about=facts(milk=(1, 0)))))
    await inbox.accept_outcomes(
        [
            outcome("o1", SaleEnd.COMPLETED, decision_id="367-e1-1"),
            outcome("o2", SaleEnd.COMPLETED, decision_id="367-e1-1", sale="367/9/2017-11-27/1"),
        ]
    )
    assert await log(archive) == {"milk": (1, 0)}
