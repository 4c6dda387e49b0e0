"""The mode is a pure function of signals, and only a pure gain has to wait."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from terminal_client.core.modes import (
    Hysteresis,
    Mode,
    ModeState,
    Signals,
    inside_basket,
    lowest,
    observed_mode,
    step,
)

FIVE_SECONDS = Hysteresis(rise_after=timedelta(seconds=5))
USABLE = {
    Mode.FULL: (True, True),
    Mode.CLOUD_ASSISTED: (False, True),
    Mode.LOCAL_ONLY: (True, False),
    Mode.EMERGENCY: (False, False),
}


def signals(mode: Mode) -> Signals:
    edge, cloud = USABLE[mode]
    return Signals(edge_usable=edge, cloud_usable=cloud)


@pytest.mark.parametrize("mode", Mode)
def test_each_pair_of_signals_calls_for_its_mode(mode: Mode) -> None:
    assert observed_mode(signals(mode)) is mode


@pytest.mark.parametrize(("start", "target"), list(product(Mode, Mode)))
def test_every_transition_waits_exactly_when_it_is_a_pure_gain(start: Mode, target: Mode) -> None:
    gains = all(
        after >= before for before, after in zip(USABLE[start], USABLE[target], strict=True)
    )
    state = step(ModeState(mode=start), signals(target), 100.0, FIVE_SECONDS)
    assert state.mode is (start if gains else target)
    late = step(state, signals(target), 105.0, FIVE_SECONDS)
    assert late.mode is target


def test_a_break_in_the_better_state_starts_the_wait_again() -> None:
    state = ModeState(mode=Mode.LOCAL_ONLY)
    state = step(state, signals(Mode.FULL), 0.0, FIVE_SECONDS)
    state = step(state, signals(Mode.LOCAL_ONLY), 4.0, FIVE_SECONDS)
    state = step(state, signals(Mode.FULL), 6.0, FIVE_SECONDS)
    assert step(state, signals(Mode.FULL), 10.9, FIVE_SECONDS).mode is Mode.LOCAL_ONLY
    assert step(state, signals(Mode.FULL), 11.0, FIVE_SECONDS).mode is Mode.FULL


@pytest.mark.parametrize(("start", "ordered"), list(product(Mode, Mode)))
def test_an_order_holds_at_once_whatever_is_observed(start: Mode, ordered: Mode) -> None:
    order = Signals(edge_usable=True, cloud_usable=True, forced=ordered)
    assert step(ModeState(mode=start), order, 0.0, FIVE_SECONDS).mode is ordered


@pytest.mark.parametrize(("first", "second"), list(product(Mode, Mode)))
def test_the_lowest_of_two_modes_allows_only_what_both_allow(first: Mode, second: Mode) -> None:
    both = tuple(a and b for a, b in zip(USABLE[first], USABLE[second], strict=True))
    assert USABLE[lowest(first, second)] == both
    assert inside_basket(first, second) is lowest(second, first)
