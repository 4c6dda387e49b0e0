"""With a gateway that works: its answer, its rules, and the comparison with our own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from posgate.v1 import decision_pb2
from terminal_client.core.decision import Place, projection
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.modes import Mode
from terminal_client.core.redemptions import RedemptionView
from tests.terminal.conftest import Store, until
from tests.terminal.rules import WORKFLOWS, basket, baskets, rules_bundle, rules_digest

SECOND = timedelta(seconds=1)


def test_the_gateway_s_answer_is_returned(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()
    decision = client.evaluate(basket(), WORKFLOWS, budget=SECOND)
    assert decision.decision_id == "367-box-1"
    assert decision.mode is Mode.EMERGENCY
    assert {result.place for result in decision.results} == {Place.GATEWAY}
    assert decision.notices == ()
    assert box.asked[0].client_version.startswith("posgate-python/")
    assert client.status().gateway_answers == 1


def test_own_and_gateway_s_answers_agree_and_the_heartbeat_says_so(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()
    for each in baskets(50):
        assert client.evaluate(each, WORKFLOWS, budget=SECOND).results[0].place is Place.GATEWAY
    until(lambda: client.status().compared >= 40)
    status = client.status()
    assert status.agreed == status.compared
    until(lambda: box.beats[-1].agreed_decisions >= 40)
    assert box.beats[-1].fallback_digest == rules_digest(rules_bundle())


def test_a_gateway_that_judges_otherwise_is_noticed(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()

    def cheat(request, answer, context):  # type: ignore[no-untyped-def]
        message = decision_pb2.EvaluateResponse.FromString(answer)
        message.results[1].verdict = decision_pb2.VERDICT_REVIEW
        return message.SerializeToString()

    box.fault = cheat
    client.evaluate(basket(), WORKFLOWS, budget=SECOND)
    until(lambda: client.status().compared == 1)
    assert client.status().agreed == 0


def test_the_pin_of_the_last_answer_is_sent_with_the_next_question(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()
    first = client.evaluate(basket(revision=1), WORKFLOWS, budget=SECOND)
    client.evaluate(basket(revision=2), WORKFLOWS, budget=SECOND)
    client.evaluate(basket(number=2), WORKFLOWS, budget=SECOND)
    assert [request.basket.basket_pin for request in box.asked] == [b"", first.basket_pin, b""]
    own = replace(basket(revision=3), basket_pin=b"my own")
    client.evaluate(own, WORKFLOWS, budget=SECOND)
    assert box.asked[-1].basket.basket_pin == b"my own"


def test_a_card_number_never_leaves_the_register(store: Store) -> None:
    box = store.box()
    client = store.ready_terminal()
    careless = replace(basket(), loyalty_token="4111111111111111")
    decision = client.evaluate(careless, WORKFLOWS, budget=SECOND)
    assert box.asked[0].basket.loyalty_token == ""
    assert [notice.code for notice in decision.notices] == ["CARD_NUMBER_REDACTED"]


def test_a_question_without_a_basket_is_asked(store: Store) -> None:
    store.box()
    client = store.ready_terminal()
    decision = client.evaluate(None, ["queue_estimate"], budget=SECOND)
    assert decision.results[0].place is Place.GATEWAY


def test_the_second_gateway_is_asked_when_the_first_is_off(store: Store) -> None:
    first, second = store.box(), store.box()
    client = store.ready_terminal()
    first.stop()
    until(lambda: _answered(client, second, first))


def test_new_rules_are_fetched_verified_and_used(store: Store) -> None:
    store.box()
    client = store.ready_terminal()
    store.publish("1.1.0", rules_bundle("1.1.0", percent=20))
    until(lambda: (bundle := client.status().bundle) is not None and bundle.version == "1.1.0")
    raw = rules_bundle("1.1.0", percent=20)
    bundle = FallbackBundle.load(raw, rules_digest(raw))
    each = basket(7)
    assert each.evaluation_time is not None
    own = bundle.decide(each, WORKFLOWS, each.evaluation_time, RedemptionView())
    answered = client.evaluate(each, WORKFLOWS, budget=SECOND)
    assert list(map(projection, answered.results)) == list(map(projection, own))


def _answered(client, second, first) -> bool:  # type: ignore[no-untyped-def]
    before = len(second.asked)
    decision = client.evaluate(basket(), WORKFLOWS, budget=SECOND)
    return decision.results[0].place is Place.GATEWAY and len(second.asked) == before + 1
