"""The breaker, with a clock that is moved by hand."""

from __future__ import annotations

from terminal_client.breaker import Breaker
from terminal_client.config import BreakerConfig

CONFIG = BreakerConfig(window=10, minimum=4, bad_share=0.5, open_s=1, longest_open_s=4, sticky_s=60)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker(CONFIG, clock), clock


def call(breaker: Breaker, basket: str, *, failed: bool = False, spent_s: float = 0.01) -> bool:
    if not breaker.admit(basket):
        return False
    breaker.record(failed=failed, spent_s=spent_s, budget_s=0.1)
    return True


def opened() -> tuple[Breaker, Clock]:
    breaker, clock = made()
    for number in range(4):
        assert call(breaker, f"b{number}", failed=True)
    assert not breaker.closed
    return breaker, clock


def test_a_few_failures_among_many_answers_change_nothing() -> None:
    breaker, _ = made()
    for number in range(100):
        assert call(breaker, f"b{number}", failed=number % 3 == 2)
    assert breaker.closed


def test_every_other_failure_opens_it_though_none_follow_each_other() -> None:
    breaker, _ = made()
    for number in range(4):
        call(breaker, f"b{number}", failed=number % 2 == 0)
    assert not breaker.closed


def test_slow_answers_count_like_failures() -> None:
    breaker, _ = made()
    for number in range(4):
        call(breaker, f"b{number}", spent_s=0.095)
    assert not breaker.closed


def test_one_call_at_a_time_tries_again_and_closes_it() -> None:
    breaker, clock = opened()
    assert not breaker.admit("b10")
    clock.now += 1
    assert breaker.admit("b11")
    assert not breaker.admit("b12")
    breaker.record(failed=False, spent_s=0.01, budget_s=0.1)
    assert breaker.closed
    assert call(breaker, "b13")


def test_each_failed_try_waits_twice_as_long_up_to_the_limit() -> None:
    breaker, clock = opened()
    for wait_s in (1, 2, 4, 4, 4):
        clock.now += wait_s - 0.01
        assert not breaker.admit("")
        clock.now += 0.01
        assert call(breaker, "", failed=True)


def test_a_basket_that_was_kept_back_stays_so_while_others_go() -> None:
    breaker, clock = opened()
    assert not breaker.admit("kept")
    clock.now += 1
    assert call(breaker, "new")
    assert breaker.closed
    assert not breaker.admit("kept")
    clock.now += 60
    assert breaker.admit("kept")


def test_a_basket_without_a_name_does_not_stick() -> None:
    breaker, clock = opened()
    assert not breaker.admit("")
    clock.now += 1
    assert call(breaker, "")
    assert breaker.admit("")


def test_a_call_that_says_nothing_lets_the_next_one_try() -> None:
    breaker, clock = opened()
    clock.now += 1
    assert breaker.admit("b10")
    breaker.forget()
    assert breaker.admit("b11")


def test_it_remembers_a_bounded_number_of_baskets() -> None:
    breaker, _ = opened()
    for number in range(5000):
        assert not breaker.admit(f"kept-{number}")
    assert len(breaker._kept_back) == 1024
