"""Rows are what the manifest declares: against small tables, and against the desk's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.complete_journey.artifacts import STORE as COMMITTED
from examples.complete_journey.artifacts import Table, book_table, read_json
from examples.complete_journey.assembly import Assembler as ReferenceAssembler
from examples.complete_journey.assembly import Line as ReferenceLine
from examples.complete_journey.assembly import StoreLog as ReferenceLog
from examples.complete_journey.replay import ReplayBasket, read_replay
from gateway.features.assembly import Assembler
from gateway.features.store_log import LogRow, StoreLog
from gateway.features.tables import FeatureBundle, FeatureTable, Floats, TableSet
from terminal_client.core.basket import AppliedDiscount, DiscountKind, LineItem
from terminal_client.core.feature_contract import read_feature, read_log
from terminal_client.core.manifest import FeaturesManifest, TableManifest
from terminal_client.core.reading import DocumentError
from terminal_client.core.store_time import LocalTime
from tests.gateway.baskets import line
from tests.gateway.bundles import NOW, features_bundle

TODAY = LocalTime(date=2017_11_22, minute_of_day=720, weekday=3)
LOGS = {"ls": read_log({"by": "product"}, ""), "lm": read_log({"by": "table:chain.group"}, "")}


def table(
    name: str, rows: dict[str, list[float]], columns: list[str], **dates: int
) -> FeatureTable:
    keys = sorted(rows, key=str.encode)
    return FeatureTable(
        manifest=TableManifest(
            table=name, keys="k.npy", values="v.npy", columns=tuple(columns), **dates
        ),
        identity=f"test/{name}/{dates}",
        keys=np.array([key.encode() for key in keys], "S12"),
        values=np.array([rows[key] for key in keys], np.float32).reshape(len(keys), len(columns)),
    )


def tables(*held: FeatureTable, as_of: datetime = NOW) -> TableSet:
    manifest = FeaturesManifest(name="book", version="1.0.0", as_of=as_of, files={}, tables={})
    return TableSet([FeatureBundle(manifest=manifest, digest="sha256:b", tables=tuple(held))])


CHAIN = table("chain", {"a": [1, 7, 200], "b": [2, 7, 0], "c": [3, np.nan, 100]},
              ["n", "group", "price_minor"])  # fmt: skip


def column(source: str, lines: Iterable[LineItem], log: StoreLog | None = None,
           held: TableSet | None = None, **more: Any) -> list[float]:  # fmt: skip
    feature = read_feature({"name": "f", "source": source, **more}, "", LOGS)
    rows = Assembler([feature]).rows(
        list(lines), NOW, TODAY, held or tables(CHAIN), log or StoreLog()
    )
    found: list[float] = rows.matrix[:, 0].tolist()
    return found


ITEMS = [line(1, "a"), line(2, "zz"), line(3, "b"), line(4, "c")]
NAN = float("nan")


@pytest.mark.parametrize(
    ("source", "more", "expected"),
    [
        ("table:chain.n", {}, [1, NAN, 2, 3]),
        ("table:chain.n", {"absent": 0}, [1, 0, 2, 3]),
        ("table:chain.nope", {"absent": 0}, [NAN] * 4),
        ("table:gone.n", {"absent": 0}, [NAN] * 4),
        ("basket:dow", {}, [3, 3, 3, 3]),
        ("ratio:shelf_minor/chain.price_minor", {"max": 2}, [1.25, NAN, NAN, 2]),
        ("ratio:shelf_minor/gone.price_minor", {}, [NAN] * 4),
        ("ratio:loyalty_minor/gross_minor", {}, [0, 0, 0, 0]),
        ("log:ls.n", {}, [0, 0, 0, 0]),
        ("log:ls.r", {}, [NAN] * 4),
        ("log:lm.n", {}, [0, NAN, 0, NAN]),
    ],
)
def test_each_kind_of_source(source: str, more: dict[str, Any], expected: list[float]) -> None:
    assert column(source, ITEMS, **more) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("shelf_minor", 250), ("paid_minor", 200), ("extended_minor", 180), ("gross_minor", 250),
        ("quantity", 2.5), ("loyalty_minor", 40), ("coupon_minor", 20),
        ("coupon_match_minor", 10), ("manual_minor", 0),
    ],
)  # fmt: skip
def test_each_field_of_a_line(field: str, expected: float) -> None:
    discounts = tuple(
        AppliedDiscount(kind=kind, amount_minor=amount)
        for kind, amount in (
            (DiscountKind.LOYALTY, 30), (DiscountKind.LOYALTY, 10), (DiscountKind.COUPON, 20),
            (DiscountKind.COUPON_MATCH, 10),
        )
    )  # fmt: skip
    one = LineItem(
        line_number=1, item_id="a", quantity_milli=2500, regular_unit_price_minor=250,
        actual_unit_price_minor=200, extended_minor=180, discounts=discounts,
    )  # fmt: skip
    assert column(f"line:{field}", [one]) == [expected]


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"unit_price_scale": 2}, 5.0), ({"price_quantity_milli": 3000}, 500 / 3)],
)
def test_a_unit_price_is_of_one_unit(change: dict[str, int], expected: float) -> None:
    one = replace(line(1, "a", price=500), **change)  # type: ignore[arg-type]
    assert column("line:shelf_minor", [one]) == pytest.approx([expected])


def test_the_log_counts_this_week_before_today_by_item_and_by_group() -> None:
    log = StoreLog()
    log.put(
        [
            LogRow(2017_11_19, "a", 100, 100), LogRow(2017_11_20, "a", 3, 1),
            LogRow(2017_11_21, "a", 1, 1), LogRow(2017_11_21, "b", 4, 0),
            LogRow(2017_11_21, "c", 9, 9), LogRow(2017_11_22, "a", 50, 50),
        ],
        cursor=6,
    )  # fmt: skip
    assert column("log:ls.n", ITEMS, log) == [4, 0, 4, 9]
    assert column("log:ls.r", ITEMS, log) == pytest.approx([0.5, NAN, 0, 1], nan_ok=True)
    assert column("log:lm.n", ITEMS, log) == pytest.approx([8, NAN, 8, NAN], nan_ok=True)
    assert column("log:lm.r", ITEMS, log) == pytest.approx([0.25, NAN, 0.25, NAN], nan_ok=True)
    log.put([LogRow(2017_11_20, "a", 5, 5)], cursor=7)
    assert column("log:ls.n", ITEMS, log) == [6, 0, 4, 9]
    log.put([], cursor=0, reset=True)
    assert column("log:ls.n", ITEMS, log) == [0, 0, 0, 0]


def test_a_table_counts_only_on_its_dates() -> None:
    this = table("plan", {"a": [2]}, ["mail"], first_date=2017_11_20, last_date=2017_11_26)
    later = table("plan", {"a": [5]}, ["mail"], first_date=2017_11_27, last_date=2017_12_03)
    feature = read_feature({"name": "m", "source": "table:plan.mail", "absent": 0}, "", LOGS)
    for day, expected in ((22, 2), (29, 5)):
        local = replace(TODAY, date=2017_11_00 + day)
        rows = Assembler([feature]).rows([ITEMS[0]], NOW, local, tables(this, later), StoreLog())
        assert (rows.matrix[0, 0], rows.missing) == (expected, frozenset())
    local = replace(TODAY, date=2017_12_04)
    rows = Assembler([feature]).rows([ITEMS[0]], NOW, local, tables(this, later), StoreLog())
    assert np.isnan(rows.matrix[0, 0])
    assert rows.missing == {"plan"}


def test_age_is_that_of_the_oldest_book_and_plans_have_none() -> None:
    plan = table("plan", {"a": [2]}, ["mail"], first_date=2017_11_20, last_date=2017_11_26)
    held = tables(CHAIN, plan, as_of=NOW - timedelta(days=9))
    for source, age in (("table:plan.mail", 0), ("table:chain.n", 9)):
        feature = read_feature({"name": "f", "source": source}, "", LOGS)
        rows = Assembler([feature]).rows([ITEMS[0]], NOW, TODAY, held, StoreLog())
        assert rows.age == timedelta(days=age)


@given(
    held=st.sets(st.text(min_size=1, max_size=6), max_size=30),
    asked=st.lists(st.text(max_size=30), max_size=20),
)
def test_a_lookup_finds_exactly_what_is_listed(held: set[str], asked: list[str]) -> None:
    # An id that ends in NUL equals the same id without it, as numpy stores bytes.
    names = {name for name in held if "\0" not in name and len(name.encode()) <= 12}
    listed = table("t", {name: [float(i)] for i, name in enumerate(sorted(names))}, ["v"])
    if not names:
        return
    wanted = [*asked, *names]
    places, found = listed.find([name.encode() for name in wanted])
    for name, place, is_found in zip(wanted, places, found, strict=True):
        assert bool(is_found) == (name.rstrip("\0") in names)
        if is_found:
            assert listed.keys[place] == name.rstrip("\0").encode()


@pytest.mark.parametrize(
    ("file", "array"),
    [
        ("chain.keys.npy", np.array([b"b", b"a", b"c", b"d", b"e"])),
        ("chain.keys.npy", np.array(["a", "b", "c", "d", "e"])),
        ("chain.values.npy", np.zeros((5, 2))),
        ("chain.values.npy", np.zeros((4, 2), np.float32)),
    ],
)
def test_a_table_that_breaks_its_contract_is_refused(
    tmp_path: Path, file: str, array: np.ndarray[Any, Any]
) -> None:
    staged = features_bundle(tmp_path / "book")
    np.save(staged.path / file, array)
    with pytest.raises(DocumentError):
        FeatureBundle.load(staged.path, staged.digest)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY garbage", b"{}"])
def test_a_file_that_is_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    staged = features_bundle(tmp_path / "book")
    (staged.path / "chain.keys.npy").write_bytes(content)
    with pytest.raises((DocumentError, OSError, EOFError)):
        FeatureBundle.load(staged.path, staged.digest)


WEEK = 49
MONDAY = date(2017, 11, 27)


def committed_rows(week: list[ReplayBasket]) -> tuple[Floats, Floats]:
    """Return the rows of a real week: the desk's reference assembly, and the gateway's."""
    contract = read_json(COMMITTED / "promo_price_edge.features.json")
    books = {name: book_table(name, WEEK) for name in ("chain", "store", "plan")}
    logs = {name: read_log(spec, "") for name, spec in contract["logs"].items()}
    features = [read_feature(c, "", logs) for c in contract["columns"]]
    ours = Assembler(features)
    reference = ReferenceAssembler(contract)
    held = tables(*(as_table(name, book) for name, book in books.items()))
    log, reference_log = StoreLog(), ReferenceLog()
    counted: dict[tuple[int, str], list[int]] = {}
    found: list[Floats] = []
    wanted: list[Floats] = []
    for basket in week:
        day = basket.local_time.date()
        number = day.year * 10_000 + day.month * 100 + day.day
        lines = [one for one in basket.lines if one.shelf_minor is not None]
        reference_lines = [ReferenceLine(str(one.product), one.shelf_minor or 0) for one in lines]
        reference_log.open_day(day)
        wanted.append(reference.rows(reference_lines, books, reference_log, day))
        local = LocalTime(date=number, minute_of_day=0, weekday=day.isoweekday())
        items = [line(i, str(o.product), price=o.shelf_minor or 0) for i, o in enumerate(lines, 1)]
        found.append(ours.rows(items, NOW, local, held, log).matrix)
        for one, reference_line in zip(lines, reference_lines, strict=True):
            reference.note(reference_line, one.loyalty_minor > 0, books, reference_log)
            count = counted.setdefault((number, str(one.product)), [0, 0])
            count[0] += 1
            count[1] += one.loyalty_minor > 0
        log.put([LogRow(d, item, *c) for (d, item), c in counted.items()], cursor=1)
    # The gateway keeps rows inside the contract's ranges; a line given away costs a cent.
    low, high = ([getattr(feature, side) for feature in features] for side in ("low", "high"))
    return np.clip(np.concatenate(wanted), low, high), np.concatenate(found)


def as_table(name: str, book: Table) -> FeatureTable:
    manifest = TableManifest(table=name, keys="k.npy", values="v.npy", columns=tuple(book.columns))
    return FeatureTable(
        manifest=manifest, identity=f"committed/{name}", keys=book.keys, values=book.values
    )


def test_a_real_week_gives_the_rows_the_model_was_trained_on() -> None:
    week = [
        basket
        for basket in read_replay("calendar")
        if MONDAY <= basket.local_time.date() < MONDAY + timedelta(days=7)
    ]
    wanted, found = committed_rows(week)
    assert len(found) > 500
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
