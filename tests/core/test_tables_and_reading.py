"""Signed documents are read strictly, and their tables answer as documented."""

from __future__ import annotations

from typing import Any

import pytest

from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.tables import ArrivalsTable, Tables, read_tables

FULL: dict[str, Any] = {
    "price": {
        "plan": [{"first_date": 20171127, "last_date": 20171203, "items": ["1", "2"]}],
        "majority": ["2", "3"],
    },
    "recommendation": {"items": ["9", "8"], "count": 1},
    "arrivals": {"per_hour": [[day] * 24 for day in range(7)], "service_s": 90, "lanes": 4},
    "segments": {"weekly": ["hh1", "hh2"], "baby": ["hh1"]},
}


def tables() -> Tables:
    return read_tables(Fields(FULL, "tables"))


@pytest.mark.parametrize(
    ("item", "date", "applies"),
    [
        ("1", 20171126, False),
        ("1", 20171127, True),
        ("1", 20171203, True),
        ("1", 20171204, False),
        ("3", 20171130, True),
        ("2", 20171204, True),
        ("unknown", 20171130, False),
    ],
)
def test_the_plan_counts_first_then_last_weeks_majority(
    item: str, date: int, applies: bool
) -> None:
    assert tables().price.loyalty_price_applies(item, date) is applies


def test_segments_are_sorted_and_need_a_token() -> None:
    assert tables().targeting("hh1") == ("baby", "weekly")
    assert tables().targeting("hh2") == ("weekly",)
    assert tables().targeting("") == ()


def test_tables_may_be_left_out() -> None:
    assert read_tables(Fields({}, "tables")) == Tables()


def test_arrivals_are_read_per_weekday_and_hour() -> None:
    arrivals = tables().arrivals
    assert arrivals == ArrivalsTable(
        per_hour=tuple((day,) * 24 for day in range(7)), service_s=90, lanes=4
    )


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("price", {"plan": [{"first_date": 2}]}, "price.plan[0].first_date"),
        ("price", {"plan": {}}, "price.plan"),
        ("price", {"majority": [7]}, "price.majority[0]"),
        ("recommendation", {"items": [], "count": 21}, "recommendation.count"),
        ("arrivals", {"per_hour": [], "service_s": 1, "lanes": 1}, "arrivals.per_hour"),
        ("arrivals", {"per_hour": [[1]], "service_s": 1, "lanes": 1}, "arrivals.per_hour[0]"),
        ("segments", {"a": "b"}, "segments.a.tokens"),
        ("extra", {}, "extra"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_by_name(key: str, value: object, path: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_tables(Fields({**FULL, key: value}, "tables"))
    assert caught.value.path == f"tables.{path}"


READERS = {
    "integer": lambda fields: fields.integer("k", 0, 9),
    "number": lambda fields: fields.number("k", 0, 9),
    "text": lambda fields: fields.text("k", longest=3),
    "flag": lambda fields: fields.flag("k"),
    "choice": lambda fields: fields.choice("k", {"a": 1}),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("value", [None, [], {}, "long text", -1, 99])
def test_a_wrong_value_names_key_and_remedy(reader: str, value: object) -> None:
    with pytest.raises(DocumentError) as caught:
        READERS[reader](Fields({"k": value}, "doc"))
    assert caught.value.path == "doc.k"
    assert caught.value.remedy


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_key_is_named(reader: str) -> None:
    with pytest.raises(DocumentError, match=r"doc\.k: is missing"):
        READERS[reader](Fields({}, "doc"))


def test_defaults_are_used_only_when_the_key_is_absent() -> None:
    empty = Fields({}, "")
    assert empty.integer("k", default=3) == 3
    assert empty.number("k", 0, 1, default=0.5) == 0.5
    assert empty.text("k", "x") == "x"
    assert empty.flag("k", True) is True
    with pytest.raises(DocumentError):
        Fields({"k": "yes"}, "").flag("k", True)


def test_numbers_take_integers_and_truth_is_no_number() -> None:
    assert Fields({"k": 1}, "").number("k", 0, 1) == 1.0
    with pytest.raises(DocumentError):
        Fields({"k": True}, "").number("k", 0, 1)
    with pytest.raises(DocumentError):
        Fields({"k": True}, "").integer("k", 0, 1)


def test_only_objects_with_text_keys_are_objects() -> None:
    with pytest.raises(DocumentError, match="is not an object"):
        Fields([], "doc")
    with pytest.raises(DocumentError, match="use strings as keys"):
        list(Fields({1: 2}, "doc").pairs())
