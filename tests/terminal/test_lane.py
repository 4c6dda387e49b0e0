"""What a register's program sees when it asks badly, asks alone, or asks at once."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from posgate.v1 import terminal_pb2
from terminal_client.client import TerminalClient
from terminal_client.config import BreakerConfig, SpoolConfig, UpkeepConfig
from terminal_client.core.basket import LineItem
from terminal_client.core.decision import Decision, Place, Verdict
from terminal_client.core.modes import Mode
from terminal_client.core.pin import read_pin
from terminal_client.errors import ConfigError, StateError
from terminal_client.request_ids import new_request_id
from tests.terminal.conftest import Store, spool_of, until
from tests.terminal.rules import WORKFLOWS, basket, baskets, rules_bundle, rules_digest
from tests.terminal.trial import run

BUDGET = timedelta(milliseconds=100)


@pytest.fixture
def alone(store: Store) -> TerminalClient:
    """A terminal with rules and without a gateway."""
    box = store.box()
    store.ready_terminal().close()
    box.stop()
    return store.terminal()


def codes(decision: Decision) -> list[str]:
    # RECORD_LATE is the disk's affair: a busy one may take longer than the budget.
    return [notice.code for notice in decision.notices if notice.code != "RECORD_LATE"]


def test_its_own_decision_says_what_it_is(store: Store, alone: TerminalClient) -> None:
    decision = alone.evaluate(basket(5), WORKFLOWS, budget=BUDGET)
    assert decision.decision_id == f"lane-1-{spool_of(alone).epoch}-1"
    assert decision.mode is Mode.EMERGENCY
    assert {result.place for result in decision.results} == {Place.TERMINAL}
    assert codes(decision) == ["GATEWAY_UNREACHABLE"]
    assert decision.artifacts[0].digest == rules_digest(rules_bundle())
    assert [(spend.stage, spend.result.name) for spend in decision.ledger] == [("rules", "RAN")]
    assert timedelta(0) < decision.total <= BUDGET + timedelta(milliseconds=20)
    assert decision.budget == BUDGET
    pin = read_pin(decision.basket_pin)
    assert pin is not None
    assert (pin.mode, pin.rules_digest) == (Mode.EMERGENCY, rules_digest(rules_bundle()))


def test_what_is_uploaded_is_what_was_answered(store: Store, alone: TerminalClient) -> None:
    decision = alone.evaluate(basket(5), WORKFLOWS, budget=BUDGET)
    batch = spool_of(alone).batch(1)
    assert batch is not None
    record = terminal_pb2.LocalDecision.FromString(batch.decisions[0])
    assert record.local_sequence == 1
    assert record.fallback_reason == terminal_pb2.FALLBACK_REASON_UNREACHABLE
    assert record.request.request_id == record.response.request_id == decision.request_id
    assert record.response.decision_id == decision.decision_id
    assert record.request.basket.transaction.basket_id == "basket-5"


def test_without_rules_every_sale_goes_on(store: Store) -> None:
    client = store.terminal()
    decision = client.evaluate(basket(), WORKFLOWS, budget=BUDGET)
    assert decision.verdict is Verdict.APPROVE
    assert [result.workflow for result in decision.results] == list(WORKFLOWS)
    assert {reason.code for result in decision.results for reason in result.reasons} == {
        "RULES_UNAVAILABLE"
    }
    assert decision.basket_pin == b""


def test_a_workflow_the_rules_do_not_know_is_approved_and_said(alone: TerminalClient) -> None:
    decision = alone.evaluate(basket(), ["age_check", "horoscope"], budget=BUDGET)
    assert [reason.code for reason in decision.results[1].reasons] == ["WORKFLOW_UNKNOWN"]


@pytest.mark.parametrize(
    "wrong",
    [
        "a basket",
        42,
        {"lines": []},
        replace(basket(), basket_revision=-1),
        replace(basket(), basket_revision=2**70),
        replace(basket(), currency_code="dollars"),
        replace(basket(), lines=(LineItem(line_number=1), LineItem(line_number=1))),
        replace(basket(), lines=(LineItem(line_number=0),)),
        replace(basket(), lines=(LineItem(line_number=1, item_id=7),)),  # type: ignore[arg-type]
        replace(basket(), lines=None),  # type: ignore[arg-type]
        replace(basket(), terminal_time="now"),  # type: ignore[arg-type]
        replace(basket(), basket_pin=b"x" * 300),
    ],
    ids=lambda wrong: f"{wrong!s:.40}",
)
def test_what_no_gateway_would_take_is_answered_and_named(store: Store, wrong: Any) -> None:
    box = store.box()
    client = store.ready_terminal()
    decision = client.evaluate(wrong, WORKFLOWS, budget=BUDGET)
    assert len(decision.results) in (0, len(WORKFLOWS))
    assert decision.verdict is not Verdict.RETRY
    assert {"INVALID_REQUEST", "RULE_ERROR"} & set(codes(decision))
    assert box.asked == []


@pytest.mark.parametrize(
    "names", ["age_check", [], ["age_check"] * 2, ["Age Check"], [f"w{n}" for n in range(20)], 7]
)
def test_workflows_that_cannot_be_asked_are_answered(store: Store, names: Any) -> None:
    store.box()
    client = store.ready_terminal()
    decision = client.evaluate(basket(), names, budget=BUDGET)
    assert decision.verdict is not Verdict.RETRY


@pytest.mark.parametrize("budget", [timedelta(0), timedelta(-1), timedelta(microseconds=1)])
def test_no_time_is_answered_at_once(alone: TerminalClient, budget: timedelta) -> None:
    began = time.monotonic()
    decision = alone.evaluate(basket(), WORKFLOWS, budget=budget)
    assert time.monotonic() - began < 0.2
    assert len(decision.results) == len(WORKFLOWS)


@pytest.mark.parametrize("budget", [150, "soon"])
def test_a_budget_of_the_wrong_type_is_answered(alone: TerminalClient, budget: Any) -> None:
    decision = alone.evaluate(basket(), WORKFLOWS, budget=budget)
    assert [result.workflow for result in decision.results] == list(WORKFLOWS)
    assert codes(decision) == ["RULE_ERROR"]
    assert alone.status().failures == 1


def test_two_thousand_lines_are_answered_in_time(alone: TerminalClient) -> None:
    large = basket(9, lines=2000)
    trial = run(alone, [large] * 5, timedelta(milliseconds=60))
    assert trial.outside == 0
    assert all(len(decision.results) == len(WORKFLOWS) for decision in trial.decisions)
    generous = alone.evaluate(large, WORKFLOWS, budget=timedelta(seconds=3))
    assert generous.results[0].offers


def test_lanes_that_ask_at_once_each_get_their_own_answer(store: Store) -> None:
    store.box()
    client = store.ready_terminal()
    got: dict[int, Decision] = {}

    def ask(number: int) -> None:
        got[number] = client.evaluate(
            basket(number, revision=number), WORKFLOWS, budget=timedelta(seconds=2)
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: decision.basket_revision for number, decision in got.items()} == {
        number: number for number in range(1, 17)
    }


def test_a_basket_that_was_kept_back_stays_with_the_rules(store: Store) -> None:
    box = store.box()
    breaker = BreakerConfig(minimum=2, window=4, open_s=0.1, longest_open_s=0.2)
    client = store.ready_terminal(breaker=breaker)

    def slow(request: Any, answer: bytes, context: Any) -> bytes:
        time.sleep(0.2)
        return answer

    box.fault = slow
    for number in (1, 2):
        decision = client.evaluate(basket(number), WORKFLOWS, budget=BUDGET)
        assert codes(decision)[0] == "GATEWAY_TIMEOUT"
    kept_back = basket(3)
    decision = client.evaluate(kept_back, WORKFLOWS, budget=BUDGET)
    assert codes(decision)[0] == "GATEWAY_BREAKER_OPEN"
    box.fault = None
    time.sleep(0.3)
    assert client.evaluate(basket(4), WORKFLOWS, budget=timedelta(seconds=1)).notices == ()
    again = client.evaluate(replace(kept_back, basket_revision=2), WORKFLOWS, budget=BUDGET)
    assert codes(again)[0] == "GATEWAY_BREAKER_OPEN"


def test_a_gateway_that_is_back_is_used_within_two_seconds(store: Store) -> None:
    process = store.box_process()
    client = store.ready_terminal(breaker=BreakerConfig())
    process.kill()
    process.wait()
    for each in baskets(50):
        client.evaluate(each, WORKFLOWS, budget=BUDGET)
    store.box_process()
    began = time.monotonic()
    number = iter(range(1000, 10_000))
    until(
        lambda: (
            client.evaluate(basket(next(number)), WORKFLOWS, budget=BUDGET).results[0].place
            is Place.GATEWAY
        )
    )
    assert time.monotonic() - began < 3


def test_a_second_client_on_the_same_state_is_refused(store: Store) -> None:
    store.terminal()
    with pytest.raises(StateError, match="a writable folder of its own"):
        store.terminal()
    store.terminal("lane-2")


def test_a_full_disk_keeps_no_register_from_selling(store: Store, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("not a folder")
    client = store.terminal(state_dir=blocked / "state")
    decision = client.evaluate(basket(), WORKFLOWS, budget=BUDGET)
    assert codes(decision)[-1] == "RECORD_LOST"
    assert "-u1" in decision.decision_id
    assert "state folder" in client.status().conditions[0]


def test_a_full_spool_is_said_in_the_answer(store: Store, alone: TerminalClient) -> None:
    alone.close()
    client = store.terminal(spool=SpoolConfig(cap_bytes=2**20))
    large = basket(9, lines=2000)
    lost = [
        codes(client.evaluate(large, WORKFLOWS, budget=timedelta(seconds=2)))[-1] == "RECORD_LOST"
        for _ in range(20)
    ]
    assert lost == sorted(lost)
    assert sum(lost) == spool_of(client).counts.dropped > 0


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"workstation_id": "lane 1"}, "workstation_id"),
        ({"gateways": ()}, "gateways"),
        ({"default_budget": timedelta(0)}, "default_budget_ms"),
        ({"breaker": BreakerConfig(minimum=30)}, "breaker.window"),
        ({"upkeep": UpkeepConfig(interval_s=0)}, "upkeep.interval_s"),
    ],
)
def test_a_configuration_out_of_range_is_an_error_at_once(
    store: Store, changes: dict[str, Any], key: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        store.terminal(**changes)
    assert caught.value.key == key


def test_a_missing_certificate_is_an_error_at_once(store: Store) -> None:
    tls = replace(store.config().tls, ca=store.path / "nowhere.pem")
    with pytest.raises(ConfigError, match=r"tls\.ca"):
        store.terminal(tls=tls)


def test_closing_twice_and_asking_afterwards_do_no_harm(store: Store) -> None:
    client = store.terminal()
    client.close()
    client.close()
    decision = client.evaluate(basket(), WORKFLOWS, budget=BUDGET)
    assert decision.verdict is Verdict.APPROVE


def test_request_ids_are_version_7_and_rise() -> None:
    ids = []
    for _ in range(5):
        ids.append(new_request_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert {text[14] for text in ids} == {"7"}
    assert {text[19] for text in ids} <= set("89ab")
