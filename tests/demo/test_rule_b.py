"""Rule B reads what the store had, and refuses what it cannot join."""

from datetime import datetime
from typing import Any

import pytest

from examples.complete_journey.demo.rule_b import RuleB, committed_table, rules_week
from examples.complete_journey.demo.shares import Share
from examples.complete_journey.replay import ReplayBasket, ReplayLine, read_replay
from terminal_client.core.tables import PlannedWeek, PriceTable
from tests.demo.records_by_hand import call, line

PLANNED, USUAL, PLAIN = 1001, 1002, 1003
RECEIPT = 2**33 + 5


def receipt(*sold: tuple[int, int]) -> ReplayBasket:
    """Return a receipt of week 50 with (product, loyalty discount) lines."""
    lines = tuple(ReplayLine(product, 1, 100, loyalty, 0, 0) for product, loyalty in sold)
    return ReplayBasket(RECEIPT, datetime(2017, 12, 5, 10), 1, 367, lines)


def tables(week: int) -> PriceTable:
    """Return tables in which only the plan of the rules of week 50 covers its days."""
    plan = PlannedWeek(
        first_date=2017_12_04 if week == 50 else 2017_11_27,
        last_date=2017_12_10 if week == 50 else 2017_12_03,
        items=frozenset({str(PLANNED)}),
    )
    return PriceTable(plan=(plan,), majority=frozenset({str(USUAL)}))


SOLD = receipt((PLANNED, 20), (USUAL, 20), (PLAIN, 0), (PLAIN, 20))
JUDGED = tuple(line(number, truth=number != 3) for number in (1, 2, 3, 4))


@pytest.mark.parametrize(("version", "right"), [("1.50.0", Share(3, 4)), ("1.49.0", Share(2, 4))])
def test_rule_b_reads_the_tables_of_the_rules_that_took_part(version: str, right: Share) -> None:
    rule_b = RuleB([SOLD], tables)
    assert rule_b.share(call(basket=RECEIPT, rules_version=version, lines=JUDGED)) == right


def test_a_receipt_is_found_by_its_number_and_by_its_sequence_number() -> None:
    rule_b = RuleB([SOLD], tables)
    folded = call(basket=RECEIPT % 2**31, rules_version="1.50.0", lines=JUDGED)
    assert rule_b.share(folded) == Share(3, 4)
    assert rule_b.share(call(basket=12, lines=())) == Share()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"basket": 12}, "not in the replay"),
        ({"lines": (line(9),)}, "no line 9"),
        ({"lines": (line(1, truth=False),)}, "differs from replay"),
        ({"rules_version": "1.12.0"}, "names no week"),
        ({"rules_version": ""}, "names no week"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_replay_is_refused(changes: dict[str, Any], problem: str) -> None:
    known: dict[str, Any] = {"basket": RECEIPT, "rules_version": "1.50.0", "lines": JUDGED}
    with pytest.raises(ValueError, match=problem):
        RuleB([SOLD], tables).share(call(**{**known, **changes}))


def test_the_committed_tables_are_the_week_s_with_the_next_plan_ahead() -> None:
    table = committed_table(49)
    spans = [(week.first_date, week.last_date) for week in table.plan]
    assert spans == [(2017_11_27, 2017_12_03), (2017_12_04, 2017_12_10)]
    assert [len(committed_table(week).plan) for week in (52, 53)] == [2, 1]
    assert rules_week("1.49.0") == 49


def test_the_plan_shipped_ahead_is_worth_points_to_a_store_that_is_cut_off() -> None:
    late = [basket for basket in read_replay("calendar") if f"{basket.local_time:%m%d}" >= "1211"]
    week = [basket for basket in late if f"{basket.local_time:%m%d}" < "1218"]

    def right(rules: int) -> float:
        rule_b = RuleB(week, committed_table)
        shares = [
            rule_b.share(
                call(
                    basket=basket.basket,
                    rules_version=f"1.{rules}.0",
                    lines=tuple(
                        line(number, truth=sold.loyalty_minor > 0)
                        for number, sold in enumerate(basket.lines, start=1)
                    ),
                )
            )
            for basket in week
        ]
        return sum(shares, Share()).value or 0.0

    # Week 51 by the book before it, which holds its plan, and by one older still.
    assert right(50) > right(49) + 0.05
