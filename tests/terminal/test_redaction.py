"""A question that no gateway would take keeps no card number either."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from terminal_client.core.basket import Basket, NamedValue, Tender
from terminal_client.question import prepare
from tests.terminal.conftest import Store
from tests.terminal.rules import WORKFLOWS, basket

CARD = "4111111111111111"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def careless() -> Basket:
    """Return a basket with a card number wherever a register may put one."""
    plain = basket()
    value = NamedValue(name="note", string_value=f"paid by {CARD}", kind="string_value")
    number = NamedValue(name="number", int_value=int(CARD))
    return replace(
        plain,
        transaction=replace(plain.transaction, operator_id=CARD, lane_label=CARD),
        loyalty_token=CARD,
        tenders=(Tender(line_number=1, instrument_token=CARD),),
        lines=(replace(plain.lines[0], department_id=CARD, attributes=(value,)), *plain.lines[1:]),
        attributes=(value, number),
    )


@pytest.mark.parametrize(
    "wrong",
    [{"currency_code": "dollars"}, {"basket_revision": -1}, {"basket_pin": b"x" * 300}],
    ids=["currency", "revision", "pin"],
)
def test_a_refused_question_is_redacted_like_one_that_is_sent(wrong: dict[str, Any]) -> None:
    question = prepare(replace(careless(), **wrong), WORKFLOWS, SECOND, b"", NOW)
    assert [notice.code for notice in question.notices] == [
        "CARD_NUMBER_REDACTED",
        "INVALID_REQUEST",
    ]
    assert not question.sendable
    assert question.message is not None
    assert CARD not in str(question.message)
    assert CARD not in repr(question.basket)
    sent = prepare(careless(), WORKFLOWS, SECOND, b"", NOW)
    assert sent.basket is not None
    assert question.basket == replace(sent.basket, **wrong)


def test_a_workflow_that_cannot_be_asked_is_no_way_around(store: Store) -> None:
    client = store.terminal()
    decision = client.evaluate(careless(), ["Not A Name"], budget=SECOND)
    codes = {notice.code for notice in decision.notices}
    assert {"CARD_NUMBER_REDACTED", "INVALID_REQUEST"} <= codes
    client.close()
    files = [path for path in (store.path / "lane-1").rglob("*") if path.is_file()]
    assert any(path.name.startswith("spool") for path in files)
    assert not any(CARD.encode() in path.read_bytes() for path in files)


def test_a_text_too_long_to_be_searched_is_written_down_nowhere(store: Store) -> None:
    client = store.terminal()
    long = replace(basket().transaction, operator_id="x" * 65)
    wrong = replace(careless(), transaction=long)
    decision = client.evaluate(wrong, WORKFLOWS, budget=SECOND)
    assert {"INVALID_REQUEST", "RECORD_LOST"} <= {notice.code for notice in decision.notices}
    assert len(decision.results) == len(WORKFLOWS)
    client.close()
    for path in (store.path / "lane-1").rglob("*"):
        assert not path.is_file() or CARD.encode() not in path.read_bytes()


def test_a_refused_question_without_card_numbers_stays_as_it_is() -> None:
    wrong = replace(basket(), terminal_time=NOW, currency_code="dollars")
    question = prepare(wrong, WORKFLOWS, SECOND, b"", NOW)
    assert question.basket == wrong
    assert [notice.code for notice in question.notices] == ["INVALID_REQUEST"]
