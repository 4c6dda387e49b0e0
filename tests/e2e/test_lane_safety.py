"""With a gateway that is dead, frozen, refused or mad, every lane gets the gateway's answer.

The answers of a healthy gateway in emergency come first; each fault must then give the same
for every basket, inside the budget, without an exception. ``POSGATE_E2E_BASKETS`` sets how many.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from examples.complete_journey.demo.machinery import environment
from examples.complete_journey.demo.pki import Authority, Identity
from terminal_client.client import TerminalClient
from terminal_client.config import BreakerConfig, TerminalConfig
from tests.e2e.asking import calling
from tests.e2e.box import Box
from tests.e2e.conftest import IN_STEP, Store, install_rules
from tests.e2e.lanes import (
    BASKETS,
    WORKFLOWS,
    Answer,
    LaneRun,
    answer_of,
    distinct,
    numbered,
    real_baskets,
    ring_up,
)

_ROOT = Path(__file__).parents[2]
# The most that a breaker may be told to endure.
_ASKED_BEFORE_BREAKER = 1000
_WARM_UP = 40
_WARM_UP_S = 15.0
# Of the baskets, where each of them costs its whole budget.
_SLOW_SHARE = 8

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + BASKETS // 10)]


@pytest.fixture(scope="module")
def one_box(store: Store) -> Iterator[Box]:
    box = store.box("lane-safety")
    try:
        yield box
    finally:
        box.stop()


@pytest.fixture
def box(one_box: Box) -> Box:
    """A healthy box in emergency, whatever the test before did to it."""
    one_box.mend()
    one_box.wait_until_serving(IN_STEP)
    one_box.force("emergency")
    return one_box


@pytest.fixture(scope="module")
def answers_once() -> list[Answer]:
    return []


@pytest.fixture
def gateways_answers(box: Box, store: Store, answers_once: list[Answer]) -> Sequence[Answer]:
    """What the healthy gateway answers to every distinct basket; asked once."""
    if not answers_once:
        ca = store.authority.ca.read_bytes()
        with calling(box.serving, box.control, ca, store.lane) as caller:
            answers_once += [
                answer_of(caller.decide(basket, WORKFLOWS))
                for basket in real_baskets(distinct(BASKETS))
            ]
    return answers_once


@pytest.fixture
def config(box: Box, store: Store, tmp_path: Path) -> TerminalConfig:
    config = box.terminal(tmp_path / "lane-1", store.lane)
    install_rules(config, store.tree)
    return config


@contextmanager
def hostile(kind: str, authority: Authority, identity: Identity) -> Iterator[str]:
    """Run a hostile gateway; yields where it listens."""
    command = [sys.executable, "-m", "tests.e2e.hostile_gateway", kind]
    command += ["--ca", str(authority.ca), "--cert", str(identity.certificate)]
    command += ["--key", str(identity.key)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, env=environment()
    ) as process:
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def elsewhere(config: TerminalConfig, door: str) -> TerminalConfig:
    gateway = replace(config.gateways[0], serving=door, control=door)
    return replace(config, gateways=(gateway,))


def without_breaker(config: TerminalConfig) -> TerminalConfig:
    """Return a register that hardly ever gives up: every basket meets the fault."""
    patience = _ASKED_BEFORE_BREAKER
    breaker = BreakerConfig(window=patience, minimum=patience, bad_share=1.0)
    return replace(config, breaker=breaker)


def prove_safe(run: LaneRun, baskets: int = BASKETS) -> None:
    print(run.told())
    assert run.exceptions == []
    assert run.outside == []
    assert run.unequal == []
    assert run.places == {"TERMINAL": baskets}
    # A machine that stops running the process now and then is no excuse for more than that.
    assert len(run.starved) <= baskets // 1000


def warm_up(client: TerminalClient) -> None:
    """Let the gateway answer first: its channel is up when the fault strikes."""
    until, number = time.monotonic() + _WARM_UP_S, BASKETS
    while True:
        # Sales of their own: one that was kept back once is not sent again.
        sales = [numbered(basket, number + n) for n, basket in enumerate(real_baskets(_WARM_UP))]
        if ring_up(client, sales, None).places["GATEWAY"] >= _WARM_UP // 2:
            return
        assert time.monotonic() < until, client.status()
        time.sleep(0.5)
        number += _WARM_UP


def test_a_healthy_gateway_in_emergency_and_the_register_agree(
    config: TerminalConfig, gateways_answers: Sequence[Answer]
) -> None:
    with TerminalClient.open(config) as client:
        run = ring_up(client, real_baskets(BASKETS), gateways_answers)
        status = client.status()
    print(run.told())
    assert (run.exceptions, run.outside, run.unequal) == ([], [], [])
    # Live traffic is the exercise: what the register compared itself was equal as well.
    assert status.compared > 0
    assert status.agreed == status.compared


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_lanes_are_safe_with_a_gateway_that_is(
    fault: signal.Signals, box: Box, config: TerminalConfig, gateways_answers: Sequence[Answer]
) -> None:
    with TerminalClient.open(config) as client:
        warm_up(client)
        box.signal(fault)
        run = ring_up(client, real_baskets(BASKETS), gateways_answers)
    prove_safe(run)


def test_every_lane_that_asks_a_frozen_gateway_is_safe(
    box: Box, config: TerminalConfig, gateways_answers: Sequence[Answer]
) -> None:
    count = BASKETS // _SLOW_SHARE
    with TerminalClient.open(without_breaker(config)) as client:
        warm_up(client)
        box.signal(signal.SIGSTOP)
        run = ring_up(client, real_baskets(BASKETS)[:count], gateways_answers)
    prove_safe(run, count)
    # After many timeouts the register tries new connections, which a frozen box never completes.
    asked = run.notices["GATEWAY_TIMEOUT"] + run.notices["GATEWAY_UNREACHABLE"]
    assert run.notices["GATEWAY_TIMEOUT"] > 0
    assert asked >= 0.9 * min(count, _ASKED_BEFORE_BREAKER)


def test_lanes_are_safe_when_the_gateway_dies_under_way(
    box: Box, config: TerminalConfig, gateways_answers: Sequence[Answer]
) -> None:
    with TerminalClient.open(config) as client:
        run = ring_up(
            client,
            real_baskets(BASKETS),
            gateways_answers,
            at_half=lambda: box.signal(signal.SIGKILL),
        )
    print(run.told())
    assert (run.exceptions, run.outside, run.unequal) == ([], [], [])
    assert run.places["GATEWAY"] > 0
    assert run.places["TERMINAL"] > 0


def test_lanes_are_safe_when_the_gateway_refuses_their_certificate(
    config: TerminalConfig, gateways_answers: Sequence[Answer], tmp_path: Path
) -> None:
    stranger = Authority.create(tmp_path / "pki").issue("stranger")
    tls = replace(config.tls, certificate=stranger.certificate, key=stranger.key)
    with TerminalClient.open(replace(config, tls=tls)) as client:
        run = ring_up(client, real_baskets(BASKETS), gateways_answers)
    prove_safe(run)
    assert run.notices["GATEWAY_CERTIFICATE_REJECTED"] > 0


def test_lanes_are_safe_when_a_stranger_plays_the_gateway(
    config: TerminalConfig, gateways_answers: Sequence[Answer], tmp_path: Path
) -> None:
    stranger = Authority.create(tmp_path / "pki")
    with (
        hostile("stranger", stranger, stranger.issue("gateway")) as door,
        TerminalClient.open(elsewhere(config, door)) as client,
    ):
        run = ring_up(client, real_baskets(BASKETS), gateways_answers)
    prove_safe(run)
    assert run.notices["GATEWAY_CERTIFICATE_REJECTED"] > 0


@pytest.mark.parametrize("patient", [False, True], ids=["", "every-call"])
@pytest.mark.parametrize("kind", ["noise", "tls-noise", "protobuf"])
def test_lanes_are_safe_with_a_gateway_that_speaks(
    kind: str,
    patient: bool,
    store: Store,
    config: TerminalConfig,
    gateways_answers: Sequence[Answer],
) -> None:
    with hostile(kind, store.authority, store.authority.issue("gateway")) as door:
        there = elsewhere(config, door)
        if patient:
            there = without_breaker(there)
        with TerminalClient.open(there) as client:
            run = ring_up(client, real_baskets(BASKETS), gateways_answers)
            failures = client.status().failures
    prove_safe(run)
    assert failures == 0


def test_lanes_are_safe_with_a_gateway_that_takes_the_call_and_says_nothing(
    store: Store, config: TerminalConfig, gateways_answers: Sequence[Answer]
) -> None:
    with (
        hostile("silence", store.authority, store.authority.issue("gateway")) as door,
        TerminalClient.open(elsewhere(config, door)) as client,
    ):
        run = ring_up(client, real_baskets(BASKETS), gateways_answers)
    prove_safe(run)
