"""What offers may still take off the lines of a basket."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_client.core.balances import LineBalances
from terminal_client.core.basket import AppliedDiscount, Basket, LineItem
from terminal_client.core.decision import LineAllocation, Reason


def line(number: int, extended: int = 100, quantity: int = 1000, **more: object) -> LineItem:
    made = LineItem(line_number=number, extended_minor=extended, quantity_milli=quantity)
    return replace(made, **more)  # type: ignore[arg-type]


def balances(*lines: LineItem, own: tuple[str, ...] = ()) -> LineBalances:
    return LineBalances.of(Basket(lines=lines), own)


def shares(*pairs: tuple[int, int]) -> tuple[LineAllocation, ...]:
    return tuple(LineAllocation(line_number=n, discount_minor=amount) for n, amount in pairs)


def test_what_the_pos_booked_from_our_earlier_answer_is_given_back() -> None:
    booked = (
        AppliedDiscount(amount_minor=30, offer_id="ours"),
        AppliedDiscount(amount_minor=7, offer_id="theirs"),
        AppliedDiscount(amount_minor=5),
    )
    found = balances(line(1, 58, discounts=booked), line(2), own=("ours",))
    assert (found.balance(1), found.balance(2), found.total()) == (88, 100, 188)


def test_a_line_below_zero_has_nothing_left() -> None:
    assert balances(line(1, -5)).balance(1) == 0


@pytest.mark.parametrize(
    "out",
    [
        line(1, voided=True),
        line(1, quantity=0),
        line(1, -100, quantity=-1000),
        line(1, voids_line_number=1),
    ],
    ids=["voided", "zero", "return", "voids-itself"],
)
def test_a_line_that_sells_nothing_takes_no_part(out: LineItem) -> None:
    found = balances(out, line(2))
    assert list(found.lines) == [2]
    assert (found.balance(1), found.units(1), found.reasons) == (0, 0, ())


def test_a_line_taken_back_by_another_takes_no_part() -> None:
    found = balances(line(1), line(2), line(3, -100, -1000, voids_line_number=1))
    assert list(found.lines) == [2]


def test_a_void_that_was_itself_voided_takes_nothing_back() -> None:
    found = balances(line(1), line(3, -100, -1000, voids_line_number=1, voided=True))
    assert list(found.lines) == [1]


def test_a_number_that_two_lines_carry_takes_no_part_and_says_so() -> None:
    found = balances(line(1), line(2), line(1, 500))
    assert list(found.lines) == [2]
    assert found.reasons == (Reason(code="LINE_NUMBER_DUPLICATE", line_number=1),)


@pytest.mark.parametrize(
    "out",
    [
        line(0),
        line(2**31),
        line(7, 2**62),
        line(7, -(2**62)),
        line(7, quantity=10**9 + 1),
        line(7, discounts=(AppliedDiscount(amount_minor=2**63 - 1),)),
    ],
)
def test_a_value_outside_the_contract_takes_no_part_and_says_so(out: LineItem) -> None:
    found = balances(out, line(1))
    assert list(found.lines) == [1]
    assert found.reasons == (Reason(code="LINE_OUT_OF_RANGE", line_number=out.line_number),)


def test_a_hostile_basket_names_only_its_first_lines() -> None:
    found = balances(*[line(n) for n in range(1, 50)] * 2)
    assert [reason.line_number for reason in found.reasons] == list(range(1, 9))


def test_the_quantity_of_a_fuel_line_is_counted_in_thousandths() -> None:
    assert balances(line(1, 8_963_800, 89_638_000)).units(1) == 89_638_000


def test_taking_stops_at_zero_and_tells_what_was_taken() -> None:
    found = balances(line(1, 100))
    assert [found.take(1, 60), found.take(1, 60), found.take(1, 60)] == [60, 40, 0]
    assert [found.take(1, -5), found.take(9, 5)] == [0, 0]
    assert found.balance(1) == 0


def test_an_amount_is_taken_from_the_lines_by_weight() -> None:
    found = balances(line(1, 200), line(2, 100), line(3, 0))
    assert found.allocate(10, [3, 2, 1, 2, 9]) == shares((1, 7), (2, 3))
    assert (found.balance(1), found.balance(2)) == (193, 97)


def test_more_than_there_is_takes_all_there_is() -> None:
    found = balances(line(1, 20), line(2, 5))
    assert found.allocate(100, [1, 2]) == shares((1, 20), (2, 5))
    assert found.allocate(100, [1, 2]) == ()
    assert found.total([1, 2, 2]) == 0


def test_nothing_is_taken_for_nothing() -> None:
    found = balances(line(1, 20))
    assert (found.allocate(0, [1]), found.allocate(-4, [1]), found.allocate(4, [])) == ((), (), ())


def test_a_share_that_rounds_to_nothing_is_left_out() -> None:
    assert balances(line(1, 1000), line(2, 1)).allocate(1, [1, 2]) == shares((1, 1))


def test_a_snapshot_can_be_gone_back_to_more_than_once() -> None:
    found = balances(line(1, 100))
    before = found.snapshot()
    for amount in (30, 50):
        found.take(1, amount)
        found.rollback(before)
        assert found.balance(1) == 100


@given(
    st.lists(st.integers(-50, 10**6), max_size=30),
    st.lists(st.tuples(st.integers(-10, 10**7), st.sets(st.integers(0, 31))), max_size=8),
)
def test_whatever_is_taken_is_exact_and_leaves_no_line_below_zero(
    extended: list[int], takes: list[tuple[int, set[int]]]
) -> None:
    found = balances(*[line(n + 1, amount) for n, amount in enumerate(extended)])
    for amount, numbers in takes:
        before, there = found.total(), found.total(numbers)
        taken = sum(share.discount_minor for share in found.allocate(amount, numbers))
        assert taken == min(max(0, amount), there) == before - found.total()
        assert all(found.balance(n) >= 0 for n in found.lines)


@given(st.permutations([line(1, 5), line(2, 7), line(2, 9), line(3, 3, voided=True), line(4, 8)]))
def test_the_order_of_the_lines_changes_nothing(lines: list[LineItem]) -> None:
    found = balances(*lines)
    assert list(found.lines) == [1, 4]
    assert found.allocate(6, found.lines) == shares((1, 2), (4, 4))
