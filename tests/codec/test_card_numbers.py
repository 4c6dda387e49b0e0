"""A card number is found however it is written, and little else is."""

from __future__ import annotations

import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_client.codec import holds_card_number
from terminal_client.codec.card_numbers import payment_token

# Test numbers that the card schemes publish.
CARDS = (
    "4111111111111111",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "6011000990139424",
)


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "written",
    ["{0}", "x{0}", "{0}x", "card {0}!", "{0}1225", "{0} 12/25", "{0}=1225", "v1-{0}", "12 34 {0}"],
)
def test_a_card_number_is_found_with_what_stands_around_it(card: str, written: str) -> None:
    assert holds_card_number(written.format(card))


@pytest.mark.parametrize("separator", [" ", "-", ".", "_", "/", "\t", "  ", "\u00a0", " - "])
def test_separators_hide_nothing(separator: str) -> None:
    assert holds_card_number(separator.join(("4111", "1111", "1111", "1111")))
    assert not payment_token("t" + separator.join(("4111", "1111", "1111", "1111")))


def test_other_digits_hide_nothing() -> None:
    assert holds_card_number("".join(chr(0xFF10 + int(digit)) for digit in CARDS[0]))


def test_a_number_longer_than_any_card_is_taken_for_one() -> None:
    assert holds_card_number("1" * 20)
    assert holds_card_number("0" * 1_000_000)


@pytest.mark.parametrize(
    "text",
    ["", "lane 4", "411111111111", "4111111111111112", "1511111111111118", "2017-11-27 14:03:00",
     "4a111111111111111", "40715105808", "2222222222222222"],
)  # fmt: skip
def test_what_cannot_be_a_card_number_is_kept(text: str) -> None:
    assert not holds_card_number(text)


@given(st.sampled_from(CARDS), st.lists(st.sampled_from(" -._/:"), min_size=20, max_size=20))
def test_any_mixture_of_separators_is_seen_through(card: str, separators: list[str]) -> None:
    assert holds_card_number("".join(map("".join, zip(card, separators, strict=False))))


@given(st.uuids(), st.binary(min_size=32, max_size=32))
def test_uuids_and_digests_are_never_taken_for_cards(name: UUID, digest: bytes) -> None:
    assert name.hex.isdecimal() or not holds_card_number(str(name))
    assert name.hex.isdecimal() or not holds_card_number(name.hex)
    assert digest.hex().isdecimal() or not holds_card_number(digest.hex())


def test_a_uuid_whose_digits_pass_the_check_is_kept() -> None:
    assert not holds_card_number("01a2093b-e495-7618-8251-6577ee20c3b2")
    assert holds_card_number("41111111-1111-1111-1111-111111111111")
    assert holds_card_number("a4111111111111111" + "0" * 14)


def test_few_numeric_loyalty_numbers_are_taken_for_cards() -> None:
    draw = random.Random(7)
    numbers = ["".join(draw.choice("0123456789") for _ in range(16)) for _ in range(5_000)]
    assert sum(map(holds_card_number, numbers)) / len(numbers) < 0.06
