"""The adaptive limit, the modes' monitor, live latencies and recent answers, clock by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission import Admission, Ticket, highest_priority
from gateway.decisions.latency import LatencyWindow
from gateway.decisions.recent_answers import BodyChangedError, RecentAnswers, StoredAnswer
from gateway.degrade import DegradeMonitor, Observed
from terminal_client.core.modes import Mode
from terminal_client.core.policy import Priority, read_policy
from tests.gateway.bundles import policy


class Seconds:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def filled(admission: Admission, priority: Priority, count: int) -> list[Ticket]:
    return [t for _ in range(count) if (t := admission.enter(priority)).admitted]


def test_payment_is_shed_last() -> None:
    admission = Admission(2, 10, Seconds())
    assert len(filled(admission, Priority.DEFERRABLE, 20)) == 6
    assert len(filled(admission, Priority.NORMAL, 20)) == 3
    assert len(filled(admission, Priority.PAYMENT, 20)) == 1
    assert not admission.enter(Priority.PAYMENT).admitted
    assert admission.shed_count == 14 + 17 + 19 + 1


def test_a_call_has_the_class_of_its_most_important_workflow() -> None:
    assert highest_priority([Priority.DEFERRABLE, Priority.PAYMENT]) is Priority.PAYMENT
    assert highest_priority([Priority.DEFERRABLE, Priority.NORMAL]) is Priority.NORMAL
    assert highest_priority([]) is Priority.NORMAL


def test_late_calls_shrink_the_limit_and_calls_in_time_grow_it() -> None:
    clock = Seconds()
    admission = Admission(2, 10, clock)
    for _ in range(50):
        clock.now += 0.2
        admission.leave(
            admission.enter(Priority.PAYMENT), own_us=900, budget_us=1_000, policy_us=1_000
        )
    shrunk = admission.limit
    assert shrunk == pytest.approx(2)
    for _ in range(200):
        first, second = (admission.enter(Priority.PAYMENT) for _ in range(2))
        admission.leave(first, own_us=10, budget_us=1_000, policy_us=1_000)
        admission.leave(second, own_us=10, budget_us=1_000, policy_us=1_000)
    assert admission.limit > 3
    for _ in range(20):
        admission.recover()
    assert admission.limit == 10
    assert admission.inside == 0


def test_a_caller_in_a_hurry_moves_nothing() -> None:
    clock = Seconds()
    admission = Admission(2, 10, clock)
    admission.late()
    assert admission.limit == 8
    for _ in range(50):
        clock.now += 0.2
        tickets = filled(admission, Priority.PAYMENT, 6)
        for ticket in tickets:
            admission.leave(ticket, own_us=2_900, budget_us=3_000, policy_us=60_000)
    assert admission.limit == 8


def test_one_burst_shrinks_the_limit_once() -> None:
    admission = Admission(2, 10, Seconds())
    for _ in range(30):
        admission.late()
    assert admission.limit == 8


@given(steps=st.lists(st.tuples(st.sampled_from(list(Priority)), st.booleans()), max_size=200))
def test_whatever_comes_the_count_is_right_and_the_limit_in_bounds(
    steps: list[tuple[Priority, bool]],
) -> None:
    admission, inside = Admission(2, 8, Seconds()), []
    for priority, late in steps:
        ticket = admission.enter(priority)
        if ticket.admitted:
            inside.append(ticket)
        elif inside:
            admission.leave(inside.pop(), 1_000 if late else 1, 1_000, 1_000)
        assert admission.inside == len(inside) <= 8
        assert 2 <= admission.limit <= 8


def mode_now(monitor: DegradeMonitor) -> Mode:
    return monitor.mode


def test_the_box_is_in_the_mode_that_all_its_workflows_allow() -> None:
    clock = Seconds()
    monitor = DegradeMonitor(clock)
    rules = read_policy(policy())
    assert (monitor.mode, monitor.mode_of("price_check")) == (Mode.EMERGENCY, Mode.EMERGENCY)
    monitor.look(rules, lambda _: Observed())
    assert mode_now(monitor) is Mode.FULL
    monitor.look(rules, lambda w: Observed(cloud_reason="WAN_DOWN", edge_reason="INFERENCE_DOWN"))
    assert mode_now(monitor) is monitor.mode_of("price_check") is Mode.EMERGENCY
    assert monitor.mode_of("age_check") is Mode.FULL, "it declares neither tier"
    assert monitor.reasons == {"WAN_DOWN", "INFERENCE_DOWN"}


def test_a_mode_falls_at_once_and_rises_after_its_time() -> None:
    clock = Seconds()
    monitor = DegradeMonitor(clock)
    rules = replace(read_policy(policy()), rise_after=timedelta(seconds=5))
    monitor.look(rules, lambda _: Observed())
    monitor.look(rules, lambda _: Observed(cloud_reason="WAN_SLOW"))
    assert monitor.mode_of("price_check") is Mode.LOCAL_ONLY
    for seconds, mode in ((0, Mode.LOCAL_ONLY), (4.9, Mode.LOCAL_ONLY), (0.2, Mode.FULL)):
        clock.now += seconds
        monitor.look(rules, lambda _: Observed())
        assert monitor.mode_of("price_check") is mode


def test_a_forced_mode_holds_for_all_until_it_is_taken_back() -> None:
    monitor = DegradeMonitor(Seconds())
    rules = read_policy(policy())
    monitor.look(rules, lambda _: Observed())
    monitor.force(Mode.EMERGENCY, "DRILL")
    monitor.look(rules, lambda _: Observed())
    assert set(monitor.modes.values()) == {Mode.EMERGENCY}
    assert monitor.reasons == {"DRILL"}
    monitor.force(None, "")
    monitor.look(rules, lambda _: Observed())
    assert (monitor.mode, monitor.reasons) == (Mode.FULL, frozenset())


def test_a_workflow_that_the_policy_drops_has_no_mode() -> None:
    monitor = DegradeMonitor(Seconds())
    rules = read_policy(policy())
    monitor.look(rules, lambda _: Observed())
    fewer = replace(rules, workflows={"age_check": rules.workflows["age_check"]})
    monitor.look(fewer, lambda _: Observed())
    assert set(monitor.modes) == {"age_check"}


def test_a_window_knows_its_p95_and_forgets() -> None:
    clock = Seconds()
    window = LatencyWindow(clock, samples=100, horizon_s=60)
    for _ in range(4):
        window.add(9_000)
    assert window.p95_us == 0, "too few to say"
    for sample in range(1, 101):
        window.add(sample)
    clock.now += 2
    assert 94 <= window.p95_us <= 96
    clock.now += 61
    assert window.p95_us == 0


NOON = datetime(2017, 11, 22, 12, tzinfo=UTC)


def stored(name: str, size: int = 100, decided: datetime = NOON) -> StoredAnswer:
    return StoredAnswer(
        request_id=name, request_sha256=name.encode(), response=b"x" * size,
        decision_id=f"d-{name}", decided=decided,
    )  # fmt: skip


@pytest.fixture
def answers() -> RecentAnswers:
    return RecentAnswers(timedelta(hours=24), 10_000, lambda: NOON)


def test_the_oldest_answers_make_room(answers: RecentAnswers) -> None:
    for number in range(40):
        answers.put(stored(str(number)))
    assert len(answers) == 10_000 // (100 + 512)
    assert answers.size_bytes <= 10_000
    assert answers.find("0", b"0") is None
    assert answers.decision("d-0") is None
    assert answers.find("39", b"39") is not None


def test_an_answer_larger_than_the_cap_is_not_kept(answers: RecentAnswers) -> None:
    answers.put(stored("huge", 20_000))
    assert (len(answers), answers.size_bytes) == (0, 0)


def test_the_same_id_with_another_body_is_told(answers: RecentAnswers) -> None:
    answers.put(stored("one"))
    with pytest.raises(BodyChangedError):
        answers.find("one", b"two")


def test_an_earlier_lifes_answer_does_not_replace_this_ones(answers: RecentAnswers) -> None:
    answers.put(stored("one", 10))
    answers.restore(stored("one", 20))
    answers.restore(stored("two", 20))
    answers.restore(stored("three", 20, NOON - timedelta(days=2)))
    assert [len(a.response) for n in ("one", "two") if (a := answers.find(n, n.encode()))] == [
        10, 20,
    ]  # fmt: skip
    assert answers.find("three", b"three") is None


def test_a_decision_moves_on_and_its_stored_answer_does_not(answers: RecentAnswers) -> None:
    answers.put(stored("one", 10))
    answers.advance("d-one", b"later")
    answers.advance("d-none", b"later")
    found = answers.find("one", b"one")
    assert found is not None
    assert (len(found.response), answers.decision("d-one")) == (10, b"later")


def test_answers_of_earlier_lives_make_room_for_this_ones(answers: RecentAnswers) -> None:
    answers.put(stored("new"))
    for number in range(40):
        answers.restore(stored(str(number), decided=NOON - timedelta(hours=1)))
    assert answers.find("new", b"new") is not None
    assert answers.find("0", b"0") is None
    assert answers.find("39", b"39") is not None, "of the restored ones the newest stay"
    assert answers.size_bytes <= 10_000
    for number in range(100, 140):
        answers.put(stored(str(number)))
    assert answers.find("39", b"39") is None
    assert answers.find("new", b"new") is None
    assert answers.find("139", b"139") is not None


def test_an_earlier_lifes_decision_stands_as_it_stood_last(answers: RecentAnswers) -> None:
    answers.restore(stored("one", 10))
    later = replace(stored("one", 10), response=b"later")
    answers.restore(later)
    found = answers.find("one", b"one")
    assert found is not None
    assert (len(found.response), answers.decision("d-one")) == (10, b"later")
    assert len(answers) == 1
