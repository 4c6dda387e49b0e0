"""Whatever a register sends, the box answers or names the field; it never breaks or tells."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING

import grpc
import pytest

from examples.complete_journey.demo.receipts import as_basket, receipts
from examples.complete_journey.replay import read_replay
from posgate.v1 import decision_pb2
from terminal_client.client import TerminalClient
from terminal_client.codec import basket_from_pb, encode_request
from terminal_client.core.basket import Basket
from tests.e2e.asking import Caller, Refusal, calling, refusal_of
from tests.e2e.box import Box, closed_door
from tests.e2e.conftest import IN_STEP, Store, install_rules
from tests.e2e.fuzzing import fuzz, mutate
from tests.e2e.lanes import WORKFLOWS

FUZZED = 300
LONGEST_S = 2.0
MAX_BYTES = 4 * 1024 * 1024
_SEED = 2017
PYTHON = re.compile(
    r"Traceback|<class|<function|site-packages|\.py\b|object at 0x|Exception|[A-Z]\w+Error\b"
)
# Numbers of test cards, one per place.
CARDS = (
    "4111111111111111",
    "5500005555555559",
    "340000000000009",
    "6011000000000004",
    "3530111333300000",
    "4012888888881881",
    "378282246310005",
    "5105105105105100",
)

if TYPE_CHECKING:
    # Generic in the stubs alone.
    Method = grpc.UnaryUnaryMultiCallable[bytes, bytes]
Change = Callable[[decision_pb2.EvaluateRequest], object]


@pytest.fixture(scope="module")
def box(store: Store) -> Iterator[Box]:
    box = store.box("hostile-input")
    box.start()
    try:
        box.wait_until_serving(IN_STEP)
        yield box
        # Nothing in this module may have broken a process.
        assert box.alive("serving")
        assert box.alive("control")
    finally:
        box.stop()


@pytest.fixture(scope="module")
def caller(box: Box, store: Store) -> Iterator[Caller]:
    ca = store.authority.ca.read_bytes()
    with calling(box.serving, box.control, ca, store.lane) as caller:
        yield caller


@pytest.fixture(autouse=True)
def _quiet_logs(box: Box) -> Iterator[None]:
    """No test of this module may make the box fail inside."""
    yield
    for role in ("serving", "control"):
        log = (box.folder / "logs" / f"{role}.log").read_text()
        assert "Traceback" not in log, log[-3000:]


@cache
def real_basket() -> Basket:
    real = next(r for r in receipts(read_replay("calendar")) if len(r.basket.lines) > 5)
    return as_basket(real, "lane-1")


def question() -> decision_pb2.EvaluateRequest:
    """A real basket, well asked."""
    return encode_request(str(uuid.uuid4()), real_basket(), WORKFLOWS)


def answered(caller: Caller, raw: bytes) -> decision_pb2.EvaluateResponse:
    return decision_pb2.EvaluateResponse.FromString(caller.evaluate(raw))


def refused(caller: Caller, raw: bytes) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        caller.evaluate(raw)
    refusal = refusal_of(caught.value)
    prove_told_well(refusal)
    return refusal


def prove_told_well(refusal: Refusal) -> None:
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.info is not None
    assert refusal.info.domain == "posgate.dev"
    assert refusal.info.reason == "FIELD_INVALID"
    assert refusal.info.metadata["field"]
    assert refusal.info.metadata["remedy"]
    assert not PYTHON.search(refusal.message)


def lines(request: decision_pb2.EvaluateRequest, count: int) -> None:
    first = request.basket.lines[0]
    del request.basket.lines[1:]
    for number in range(2, count + 1):
        line = request.basket.lines.add()
        line.CopyFrom(first)
        line.line_number = number


def quantity(milli: int) -> Change:
    def change(request: decision_pb2.EvaluateRequest) -> None:
        request.basket.lines[0].quantity_milli = milli

    return change


def negative(request: decision_pb2.EvaluateRequest) -> None:
    for line in request.basket.lines:
        line.extended_minor = -99_999_999
        line.quantity_milli = -1000


def set_field(path: str, value: object) -> Change:
    """Set ``path`` (``basket.lines.0.line_number``); a list is extended by ``value``."""

    def change(request: decision_pb2.EvaluateRequest) -> None:
        *parents, last = path.split(".")
        place: object = request
        for name in parents:
            place = place[int(name)] if name.isdigit() else getattr(place, name)  # type: ignore[index]
        if isinstance(value, list):
            del getattr(place, last)[:]
            getattr(place, last).extend(value)
        else:
            setattr(place, last, value)

    return change


ANSWERED: dict[str, Change] = {
    "2,000 lines": lambda request: lines(request, 2000),
    "quantity 89,638": quantity(89_638_000),
    "quantity 0": quantity(0),
    "unknown product": set_field("basket.lines.0.item_id", "no such thing"),
    "hostile product": set_field("basket.lines.0.item_id", "'; DROP TABLE decisions; --\u0000"),
    "no lines": lambda request: request.basket.ClearField("lines"),
    "no basket": lambda request: request.ClearField("basket"),
    "empty basket": lambda request: request.basket.Clear(),
    "negative totals": negative,
    "unknown enum numbers": set_field("basket.transaction_type", 4711),
    "no clock": lambda request: request.basket.ClearField("evaluation_time"),
    "another store": set_field("basket.transaction.store_id", "999"),
    "nonsense pin": set_field("basket.basket_pin", b"\xff" * 256),
    "longest texts": set_field("basket.transaction.basket_id", "💳" * 64),
}
REFUSED: dict[str, tuple[Change, str]] = {
    "2,001 lines": (lambda request: lines(request, 2001), "basket.lines"),
    "duplicate line numbers": (
        set_field("basket.lines.1.line_number", 1),
        "basket.lines[1].line_number",
    ),
    "line 0": (set_field("basket.lines.0.line_number", 0), "basket.lines[0].line_number"),
    "too much": (quantity(10**9 + 1), "basket.lines[0].quantity_milli"),
    "too dear": (
        set_field("basket.lines.0.extended_minor", 2**63 - 1),
        "basket.lines[0].extended_minor",
    ),
    "no request id": (set_field("request_id", ""), "request_id"),
    "blank request id": (set_field("request_id", "a b"), "request_id"),
    "long request id": (set_field("request_id", "x" * 65), "request_id"),
    "foreign request id": (set_field("request_id", "é"), "request_id"),
    "request id with a line end": (set_field("request_id", "abc\n"), "request_id"),
    "malformed workflow": (set_field("workflows", ["age_check", "A B"]), "workflows[1]"),
    "workflow asked twice": (set_field("workflows", ["age_check"] * 2), "workflows[1]"),
    "no workflow": (set_field("workflows", []), "workflows"),
    "too many workflows": (set_field("workflows", [f"w{n}" for n in range(17)]), "workflows"),
    "currency": (set_field("basket.currency_code", "usd"), "basket.currency_code"),
    "day": (
        set_field("basket.transaction.business_day_date", "tomorrow"),
        "basket.transaction.business_day_date",
    ),
    "year 9999": (set_field("basket.evaluation_time.seconds", 10**11), "basket.evaluation_time"),
    "nanos": (set_field("basket.evaluation_time.nanos", 10**9), "basket.evaluation_time"),
    "no budget": (set_field("budget.seconds", -1), "budget"),
    "endless budget": (set_field("budget.seconds", 61), "budget"),
    "long pin": (set_field("basket.basket_pin", bytes(257)), "basket.basket_pin"),
    "blank token": (set_field("basket.loyalty_token", "a b"), "basket.loyalty_token"),
    "negative revision": (set_field("basket.basket_revision", -1), "basket.basket_revision"),
    "long client": (set_field("client_version", "x" * 65), "client_version"),
}


@pytest.mark.parametrize("change", ANSWERED.values(), ids=ANSWERED)
def test_a_strange_basket_is_answered(change: Change, caller: Caller) -> None:
    request = question()
    change(request)
    began_s = time.monotonic()
    answer = answered(caller, request.SerializeToString())
    assert time.monotonic() - began_s < LONGEST_S
    assert answer.request_id == request.request_id
    assert [result.workflow for result in answer.results] == list(WORKFLOWS)
    assert answer.verdict in (decision_pb2.VERDICT_APPROVE, decision_pb2.VERDICT_REVIEW)


@pytest.mark.parametrize(("change", "field"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_the_contract_is_refused_by_its_field(
    change: Change, field: str, caller: Caller
) -> None:
    request = question()
    change(request)
    refusal = refused(caller, request.SerializeToString())
    assert refusal.info is not None
    assert refusal.info.metadata["field"] == field


def test_bytes_that_are_no_request_are_refused(caller: Caller) -> None:
    refusal = refused(caller, b"\xff" * 100)
    assert refusal.info is not None
    assert refusal.info.metadata["field"] == "request"


def test_an_id_with_another_body_is_refused_and_with_the_same_answered_again(
    caller: Caller,
) -> None:
    request = question()
    raw = request.SerializeToString()
    first = caller.evaluate(raw)
    assert caller.evaluate(raw) == first
    request.basket.basket_revision += 1
    refusal = refused(caller, request.SerializeToString())
    assert refusal.info is not None
    assert refusal.info.metadata["field"] == "request_id"


def test_fuzzed_questions_are_answered_or_refused_by_field(caller: Caller) -> None:
    random = Random(_SEED)
    answers = 0
    for number in range(2 * FUZZED):
        if number % 2:
            raw = mutate(question().SerializeToString(), random)
        else:
            shaken = fuzz(decision_pb2.EvaluateRequest(), random)
            shaken.request_id = f"fuzz-{number}"
            del shaken.workflows[:]
            shaken.workflows.append("age_check")
            raw = shaken.SerializeToString()
        began_s = time.monotonic()
        try:
            answered(caller, raw)
            answers += 1
        except grpc.RpcError as error:
            prove_told_well(refusal_of(error))
        assert time.monotonic() - began_s < LONGEST_S
    assert 0 < answers < 2 * FUZZED
    assert answered(caller, question().SerializeToString()).results


@cache
def _large() -> bytes:
    """A well-formed basket of 2,000 lines, blown up by attributes to just below 4 MiB."""
    request = question()
    request.basket.lines[0].ClearField("discounts")
    lines(request, 2000)
    spare = (MAX_BYTES - 64 * 1024 - request.ByteSize()) // 2000
    for line in request.basket.lines:
        # Each costs 16 bytes beside its text, and a line's own length grows by a byte.
        for size in (256,) * (spare // 272) + (max(spare % 272 - 16, 0),):
            line.attributes.add(name="note", string_value="x" * size)
    return request.SerializeToString()


def test_four_megabytes_are_answered_and_more_is_refused(caller: Caller) -> None:
    raw = _large()
    assert 0.9 * MAX_BYTES < len(raw) < MAX_BYTES
    began_s = time.monotonic()
    assert len(answered(caller, raw).results) == len(WORKFLOWS)
    assert time.monotonic() - began_s < LONGEST_S
    with pytest.raises(grpc.RpcError) as caught:
        caller.evaluate(bytes(MAX_BYTES + 4096))
    refusal = refusal_of(caught.value)
    # The transport refuses before there is anything to read a field from.
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not PYTHON.search(refusal.message)


def test_large_questions_do_not_hold_up_the_others(caller: Caller) -> None:
    large = decision_pb2.EvaluateRequest.FromString(_large())
    send: Method = caller.serving.unary_unary("/posgate.v1.DecisionService/Evaluate")
    flying = []
    for _ in range(4):
        large.request_id = str(uuid.uuid4())
        flying.append(send.future(large.SerializeToString(), timeout=10.0))
    took_s = []
    for _ in range(20):
        began_s = time.monotonic()
        answered(caller, question().SerializeToString())
        took_s.append(time.monotonic() - began_s)
    for each in flying:
        assert each.code() in (grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert sorted(took_s)[len(took_s) // 2] < 0.2


def _with_cards(request: decision_pb2.EvaluateRequest) -> None:
    basket = request.basket
    basket.tenders.add(line_number=1, instrument_token=CARDS[0], amount_minor=100)
    basket.loyalty_token = CARDS[1]
    basket.transaction.operator_id = CARDS[2]
    basket.transaction.lane_label = f"lane {CARDS[3]}"
    basket.attributes.add(name="note", string_value=f"card {CARDS[4]}!")
    basket.lines[0].attributes.add(name="note", string_value=CARDS[5])
    request.client_version = f"v1-{CARDS[6]}"
    spaced = " ".join(CARDS[7][n : n + 4] for n in range(0, 16, 4))
    basket.lines[1].attributes.add(name="note", string_value=spaced)


def test_no_card_number_is_kept_anywhere(box: Box, caller: Caller, store: Store) -> None:
    request = question()
    _with_cards(request)
    answer = answered(caller, request.SerializeToString())
    assert "CARD_NUMBER_REDACTED" in {notice.code for notice in answer.notices}
    # A request that is refused afterwards is not kept either, nor repeated in the refusal.
    request.basket.currency_code = CARDS[0]
    assert CARDS[0] not in refused(caller, request.SerializeToString()).message
    folder = box.folder / "lane-cards"
    nobody = closed_door()
    config = box.terminal(folder, store.lane, serving=nobody)
    install_rules(config, store.tree)
    request.basket.currency_code = "USD"
    with TerminalClient.open(config) as client:
        basket = basket_from_pb(request.basket)
        decision = client.evaluate(basket, WORKFLOWS, budget=timedelta(seconds=1))
        assert "CARD_NUMBER_REDACTED" in {notice.code for notice in decision.notices}
        _wait_until_uploaded(client)
    _wait_until_recorded(box, {request.request_id, decision.request_id})
    spaced = " ".join(CARDS[7][n : n + 4] for n in range(0, 16, 4))
    needles = [card.encode() for card in (*CARDS, spaced)]
    haystacks = {str(path): path.read_bytes() for path in box.folder.rglob("*") if path.is_file()}
    assert any(request.request_id.encode() in kept for kept in haystacks.values())
    haystacks["metrics"] = box.metrics().encode()
    leaks = {
        (name, needle) for name, kept in haystacks.items() for needle in needles if needle in kept
    }
    assert leaks == set()


def _wait_until_uploaded(client: TerminalClient) -> None:
    until = time.monotonic() + 10.0
    while (spool := client.status().spool) is None or spool.waiting:
        assert time.monotonic() < until, client.status()
        time.sleep(0.05)


def _wait_until_recorded(box: Box, request_ids: set[str]) -> None:
    until = time.monotonic() + 10.0
    files = [box.database, box.database.with_name(box.database.name + "-wal")]
    while True:
        kept = b"".join(path.read_bytes() for path in files if path.exists())
        if all(request_id.encode() in kept for request_id in request_ids):
            return
        assert time.monotonic() < until, "the decisions never reached the database"
        time.sleep(0.05)
