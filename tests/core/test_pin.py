"""A pin comes back as issued; anything else is no pin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_client.core.modes import Mode
from terminal_client.core.pin import BasketPin, read_pin

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF_AN_HOUR = timedelta(minutes=30)
PIN = BasketPin(rules_digest="sha256:" + "ab" * 32, mode=Mode.LOCAL_ONLY, issued=NOW)


def test_a_pin_comes_back_as_issued() -> None:
    raw = PIN.encode()
    assert len(raw) <= 256
    assert read_pin(raw) == PIN


@given(st.binary(max_size=300))
def test_any_bytes_are_a_pin_or_none(raw: bytes) -> None:
    pin = read_pin(raw)
    assert pin is None or read_pin(pin.encode()) == pin


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x02" + PIN.encode()[1:], b"\x01\x09" + PIN.encode()[2:], PIN.encode() + b"x",
     b"\x01\x01" + b"\x7f" + b"\xff" * 7 + bytes(32)],
    ids=["empty", "other version", "unknown mode", "too long", "no time"],
)  # fmt: skip
def test_an_unreadable_pin_is_none(raw: bytes) -> None:
    assert read_pin(raw) is None


@pytest.mark.parametrize(
    ("age", "lapsed"),
    [
        (timedelta(0), False),
        (HALF_AN_HOUR, False),
        (HALF_AN_HOUR + timedelta(seconds=1), True),
        (-timedelta(seconds=2), False),
        (-HALF_AN_HOUR, False),
        (-HALF_AN_HOUR - timedelta(seconds=1), True),
    ],
)
def test_a_pin_lapses_after_its_lifetime_whichever_clock_is_ahead(
    age: timedelta, lapsed: bool
) -> None:
    assert PIN.lapsed(NOW + age, HALF_AN_HOUR) is lapsed
