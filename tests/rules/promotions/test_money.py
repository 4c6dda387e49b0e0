"""Rounding, sharing and currency digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_client.core.money import (
    Price,
    currency_exponent,
    divide_half_up,
    read_price,
    share_out,
)
from terminal_client.core.reading import DocumentError, Fields

AMOUNTS = st.integers(0, 10**15)


@pytest.mark.parametrize(
    ("code", "digits"),
    [("USD", 2), ("EUR", 2), ("JPY", 0), ("CLP", 0), ("RSD", 2), ("JOD", 3), ("CLF", 4), ("", 2)],
)
def test_a_currency_has_the_digits_of_iso_4217(code: str, digits: int) -> None:
    assert currency_exponent(code) == digits


def test_the_basket_may_say_other_digits_than_iso_4217() -> None:
    assert currency_exponent("CLP", 2) == 2
    assert currency_exponent("USD", 0) == 0


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [
        (5, 10, 1),
        (4, 10, 0),
        (15, 10, 2),
        (-5, 10, 0),
        (-6, 10, -1),
        (0, 7, 0),
        (1, 3, 0),
        (2, 3, 1),
    ],
)
def test_a_tie_is_rounded_up(numerator: int, denominator: int, rounded: int) -> None:
    assert divide_half_up(numerator, denominator) == rounded


@pytest.mark.parametrize(
    ("amount", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (200, [1, 1, 1], [67, 67, 66]),
        (5, [10, 0, 10], [3, 0, 2]),
        (7, [100, 250, 650], [1, 2, 4]),
        (0, [0, 0], [0, 0]),
        (0, [], []),
        (9, [9], [9]),
    ],
)
def test_an_amount_is_shared_by_largest_remainder(
    amount: int, weights: list[int], shares: list[int]
) -> None:
    assert share_out(amount, weights) == shares


@given(st.lists(AMOUNTS, max_size=40), st.data())
def test_shares_sum_exactly_and_never_exceed_their_weight(
    weights: list[int], data: st.DataObject
) -> None:
    amount = data.draw(st.integers(0, sum(weights)))
    shares = share_out(amount, weights)
    assert sum(shares) == amount
    assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20), AMOUNTS)
def test_a_share_differs_from_its_exact_part_by_less_than_one(
    weights: list[int], amount: int
) -> None:
    total = sum(weights)
    for share, weight in zip(share_out(amount, weights), weights, strict=True):
        assert abs(share * total - amount * weight) < total


@pytest.mark.parametrize(("amount", "weights"), [(-1, [1]), (1, [-1, 3]), (1, []), (1, [0, 0])])
def test_what_cannot_be_shared_is_refused(amount: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match=r"negative|needs a weight"):
        share_out(amount, weights)


@pytest.mark.parametrize(
    ("price", "quantity_milli", "cost"),
    [
        (Price(299), 1000, 299),
        (Price(299), 3000, 897),
        (Price(500, quantity_milli=3000), 6000, 1000),
        (Price(500, quantity_milli=3000), 1000, 167),
        (Price(1459, scale=1), 10_000, 1459),
        (Price(1459, scale=1), 1000, 146),
        (Price(199), 420, 84),
        (Price(0), 89_638_000, 0),
    ],
)
def test_a_price_costs_its_share_rounded_once(price: Price, quantity_milli: int, cost: int) -> None:
    assert price.of(quantity_milli) == cost


def test_a_price_is_read_with_the_names_of_the_contract() -> None:
    fields = Fields({"amount_minor": 5, "unit_price_scale": 1, "price_quantity_milli": 20}, "p")
    price = read_price(fields)
    fields.close()
    assert price == Price(5, scale=1, quantity_milli=20)


def test_a_negative_price_is_refused_by_name() -> None:
    with pytest.raises(DocumentError, match=r"^p\.amount_minor: is -1; write an integer"):
        read_price(Fields({"amount_minor": -1}, "p"))
