"""A basket's pin between box and terminal: the clocks differ, the basket is older than both."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from gateway.decisions.answering import choose
from gateway.decisions.holdings import Holdings
from gateway.inference.onnx import OnnxRuntime
from posgate.v1 import decision_pb2
from terminal_client.client import TerminalClient
from terminal_client.core.basket import Basket
from terminal_client.core.decision import Decision, Place
from terminal_client.core.modes import Mode
from tests.terminal.conftest import Store, until
from tests.terminal.rules import WORKFLOWS, basket, rules_bundle, rules_digest

OLD, NEW = rules_bundle("1.0.0"), rules_bundle("1.1.0", percent=50)


async def _held(folder: Path, *bundles: bytes) -> Holdings:
    holdings = Holdings(OnnxRuntime())
    for raw in bundles:
        path = folder / rules_digest(raw)[7:]
        path.write_bytes(raw)
        await holdings.stage("rules", rules_digest(raw), path)
        await holdings.canary(rules_digest(raw))
        holdings.flip(rules_digest(raw))
    return holdings


def _revised(number: int, pin: bytes = b"") -> Basket:
    return replace(basket(revision=number), basket_pin=pin)


def _rules(decision: Decision) -> str:
    return decision.artifacts[0].digest


@pytest.mark.parametrize("ahead_s", [-120, -2, 0, 2, 120])
def test_a_basket_keeps_rules_and_mode_when_the_gateway_dies_and_comes_back(
    store: Store, ahead_s: int
) -> None:
    """The basket's own time is months old; the POS clock differs from the box's."""
    box = store.box()
    before = asyncio.run(_held(store.path, OLD))
    after = asyncio.run(_held(store.path, OLD, NEW))

    def pinned(
        request: decision_pb2.EvaluateRequest, answer: bytes, context: grpc.ServicerContext
    ) -> bytes:
        choice = choose(None, before, Mode.FULL, datetime.now(UTC))
        assert choice is not None
        message = decision_pb2.EvaluateResponse.FromString(answer)
        message.basket_pin = choice.pin.encode()
        return message.SerializeToString()

    box.fault = pinned
    clock_error = timedelta(seconds=ahead_s)
    client = TerminalClient.open(store.config(), lambda: datetime.now(UTC) + clock_error)
    store.exits.callback(client.close)
    until(lambda: client.status().bundle is not None)
    assert client.evaluate(_revised(1), WORKFLOWS).results[0].place is Place.GATEWAY
    store.publish("1.1.0", NEW)
    until(lambda: (bundle := client.status().bundle) is not None and bundle.version == "1.1.0")
    box.stop()
    alone = client.evaluate(_revised(2), WORKFLOWS)
    assert alone.results[0].place is Place.TERMINAL
    assert _rules(alone) == rules_digest(OLD)
    assert _rules(client.evaluate(_revised(3), WORKFLOWS)) == rules_digest(OLD)
    back = choose(_revised(4, alone.basket_pin), after, Mode.FULL, datetime.now(UTC))
    assert back is not None
    assert back.bundle.digest == rules_digest(OLD)
    assert back.mode(Mode.FULL) is Mode.EMERGENCY
    assert _rules(client.evaluate(basket(2), WORKFLOWS)) == rules_digest(NEW)
