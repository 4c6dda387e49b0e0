"""When serving says ready: with its earlier answers, or when control is not there."""

from __future__ import annotations

import pytest

from gateway.api.serving_control_service import Readiness


class Store:
    """A box that starts, seconds and rules by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rules = False
        self.ready = Readiness(lambda: self.rules, lambda: self.now)

    def busy(self, seconds: int) -> list[bool]:
        """Let control give an order a second; return what serving said meanwhile."""
        said = []
        for _ in range(seconds):
            self.now += 1.0
            self.ready.heard()
            said.append(self.ready())
        return said


@pytest.fixture
def store() -> Store:
    return Store()


def test_while_control_loads_slowly_serving_waits_for_its_answers(store: Store) -> None:
    assert not any(store.busy(10))
    store.rules = True
    assert not any(store.busy(10))
    store.ready.answers_loaded = True
    assert store.ready()


def test_a_silent_control_is_not_waited_for(store: Store) -> None:
    store.busy(8)
    store.rules = True
    assert not store.ready()
    store.now += 4.9
    assert not store.ready()
    store.now += 0.2
    assert store.ready()
    assert all(store.busy(3)), "an order takes nothing back"


def test_rules_make_it_ready_in_the_end_whatever_control_does(store: Store) -> None:
    store.busy(60)
    store.rules = True
    said = store.busy(20)
    assert said.index(True) == 15
    assert all(said[15:])


def test_without_rules_it_is_never_ready(store: Store) -> None:
    store.ready.answers_loaded = True
    store.now += 3600
    assert not store.ready()
