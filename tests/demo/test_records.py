"""Calls and facts come back from disk as they were, and nothing else comes back at all."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from examples.complete_journey.demo.record_reading import read_calls, read_facts
from examples.complete_journey.demo.records import (
    CallRecord,
    call_line,
    facts_document,
    write_calls,
    write_facts,
)
from terminal_client.core.reading import DocumentError
from tests.demo.records_by_hand import alone, call, coupon, facts, line, stage

FULL = call(
    7,
    reasons=("ITEM_UNKNOWN",),
    lines=(line(1), line(2, expected=True, tier="rules", score=None)),
    coupons=(coupon(),),
    coupons_expected=(coupon("c1", "EXPIRED", "COUPON_EXPIRED"),),
    ledger=(stage(), stage("deep", 0, allotted_us=0, result="NOT_ALLOWED")),
)


def written(tmp_path: Path, document: dict[str, Any]) -> Path:
    path = tmp_path / "lane-1.jsonl"
    path.write_text(json.dumps(document) + "\n", encoding="utf-8")
    return path


def test_calls_come_back_in_order_as_they_were(tmp_path: Path) -> None:
    first, second = tmp_path / "calls" / "a.jsonl", tmp_path / "calls" / "b.jsonl"
    write_calls(first, [FULL, alone(8)])
    write_calls(second, [call(9)])
    assert list(read_calls([first, second])) == [FULL, alone(8), call(9)]


def test_facts_come_back_as_they_were(tmp_path: Path) -> None:
    run = facts(3)
    quiet = replace(run, wan_cut=None, gateway_dead=None, first_answer_after_restart_ms=None)
    for one in (run, quiet):
        write_facts(tmp_path / "run.json", one)
        assert read_facts(tmp_path / "run.json") == one


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"place": "moon"}, "place"),
        ({"mode": "FULL"}, "mode"),
        ({"verdict": "decline"}, "verdict"),
        ({"took_ms": "9"}, "took_ms"),
        ({"took_ms": -1}, "took_ms"),
        ({"final": 1}, "final"),
        ({"week": 54}, "week"),
        ({"local_time": "yesterday"}, "local_time"),
        ({"basket": True}, "basket"),
        ({"lines": [[1, True]]}, "lines[0]"),
        ({"lines": [[1, True, True, "rule", "gateway", None]]}, "lines[0].tier"),
        ({"lines": [[1, True, True, "rules", "gateway", 1.5]]}, "lines[0].score"),
        ({"ledger": [["edge", "", 1, 1, "ran"]]}, "ledger[0].result"),
        ({"coupons": {"c1": "APPLIED"}}, "coupons"),
        ({"took": 9.0}, "took"),
    ],
    ids=str,
)
def test_a_wrong_field_is_refused_by_file_line_and_key(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    path = written(tmp_path, {**json.loads(call_line(FULL)), **changes})
    with pytest.raises(DocumentError) as refused:
        list(read_calls([path]))
    assert refused.value.path == f"lane-1.jsonl:1.{named}"


@pytest.mark.parametrize("missing", sorted(json.loads(call_line(FULL))))
def test_every_field_of_a_call_is_required(tmp_path: Path, missing: str) -> None:
    document = json.loads(call_line(FULL))
    del document[missing]
    with pytest.raises(DocumentError, match=f"{missing}: is missing"):
        list(read_calls([written(tmp_path, document)]))


@pytest.mark.parametrize("missing", sorted(facts_document(facts())))
def test_every_field_of_the_facts_is_required(tmp_path: Path, missing: str) -> None:
    document = facts_document(facts())
    del document[missing]
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DocumentError) as refused:
        read_facts(path)
    assert refused.value.path == f"run.json.{missing}"


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"took_ms": NaN}'])
def test_what_is_no_call_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lane-1.jsonl"
    path.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(DocumentError, match=r"lane-1\.jsonl:1"):
        list(read_calls([path]))


@pytest.mark.parametrize(
    ("field", "value"),
    [("place", "store"), ("mode", "offline"), ("verdict", "")],
)
def test_a_call_cannot_even_be_made_with_a_word_nobody_knows(field: str, value: str) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=field):
        call(**changes)


def test_store_time_is_naive_and_wall_time_is_not() -> None:
    with pytest.raises(ValueError, match="local_time"):
        call(local_time=datetime(2017, 11, 13, tzinfo=UTC))
    with pytest.raises(ValueError, match="started"):
        facts(started=datetime(2024, 5, 1))


def test_an_endless_number_is_not_written() -> None:
    endless: CallRecord = call(took_ms=float("inf"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        call_line(endless)
