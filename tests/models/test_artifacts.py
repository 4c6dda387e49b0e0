"""The committed files of the Complete Journey example: present, small, and what they say."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from examples.complete_journey.artifacts import (
    BOOK_WEEKS,
    CARDS,
    CLOUD,
    ROOT,
    STORE,
    book_table,
    prices_table,
    read_json,
    unpack_book,
)
from examples.complete_journey.contract import EDGE_COLUMNS, FLEET_COLUMNS
from examples.complete_journey.golden import golden_path, read_golden
from terminal_client.core.feature_contract import read_feature, read_log

ROW_MODELS = (
    STORE / "promo_price_edge.onnx",
    STORE / "receipt_anomaly_edge.onnx",
    CLOUD / "promo_price_deep.onnx",
    CLOUD / "demand.onnx",
)
CART_MODELS = (STORE / "basket_rec_edge.onnx", CLOUD / "basket_rec_deep.onnx")
STORE_CONTRACTS = ("promo_price_edge", "receipt_anomaly_edge")
CLOUD_ONLY = (*FLEET_COLUMNS, "hist_item", "hist_weight", "household", "fleet")


def open_model(path: Path) -> ort.InferenceSession:
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def contract(name: str) -> dict[str, Any]:
    content: dict[str, Any] = read_json(STORE / f"{name}.features.json")
    return content


def test_everything_committed_takes_at_most_20_megabytes() -> None:
    files = [p for p in ROOT.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert len(files) > 40
    assert sum(path.stat().st_size for path in files) <= 20_000_000


@pytest.mark.parametrize("model", [*ROW_MODELS, *CART_MODELS], ids=lambda path: path.stem)
def test_a_model_loads_on_the_cpu_without_custom_operators(model: Path) -> None:
    session = open_model(model)
    assert session.get_providers() == ["CPUExecutionProvider"]
    meta = session.get_modelmeta().custom_metadata_map
    assert re.fullmatch(r"[a-z_]+/1", meta["contract"])
    assert meta["version"] == "1.0.0"


@pytest.mark.parametrize("model", ROW_MODELS, ids=lambda path: path.stem)
def test_a_row_model_gives_its_golden_scores_again(model: Path) -> None:
    rows, expected = read_golden(model)
    (scores,) = open_model(model).run(None, {"x": rows})
    assert scores.shape == (len(rows),)
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize("model", ROW_MODELS, ids=lambda path: path.stem)
def test_a_row_scores_the_same_alone_and_in_a_batch(model: Path) -> None:
    rows, _ = read_golden(model)
    session = open_model(model)
    alone = np.concatenate([session.run(None, {"x": row[None]})[0] for row in rows])
    np.testing.assert_allclose(session.run(None, {"x": rows})[0], alone, atol=1e-6)


@pytest.mark.parametrize("model", CART_MODELS, ids=lambda path: path.stem)
def test_a_recommender_gives_its_golden_suggestions_again(model: Path) -> None:
    golden = read_json(golden_path(model))
    kinds = {"hist_weight": np.float32}
    feed = {n: np.array(v, kinds.get(n, np.int64)) for n, v in golden["inputs"].items()}
    item, score = open_model(model).run(["item", "score"], feed)
    np.testing.assert_array_equal(item, golden["expected"]["item"])
    np.testing.assert_allclose(score, golden["expected"]["score"], atol=golden["tolerance"])


@pytest.mark.parametrize("model", CART_MODELS, ids=lambda path: path.stem)
def test_a_recommender_suggests_neither_padding_nor_what_is_in_the_cart(model: Path) -> None:
    golden = read_json(golden_path(model))
    for cart, items in zip(golden["inputs"]["cart"], golden["expected"]["item"], strict=True):
        assert 0 not in items
        assert not set(items) & set(cart)


@pytest.mark.parametrize("name", STORE_CONTRACTS)
def test_a_contract_names_as_many_columns_as_its_model_takes(name: str) -> None:
    (x,) = open_model(STORE / f"{name}.onnx").get_inputs()
    columns = contract(name)["columns"]
    assert x.shape[1] == len(columns) == contract(name)["input"]["shape"][1]
    assert len({column["name"] for column in columns}) == len(columns)


@pytest.mark.parametrize("name", STORE_CONTRACTS)
def test_a_gateway_can_read_every_column_of_a_contract(name: str) -> None:
    content = contract(name)
    logs = {key: read_log(value, key) for key, value in content["logs"].items()}
    features = [read_feature(column, "columns", logs) for column in content["columns"]]
    assert [feature.name for feature in features] == [c["name"] for c in content["columns"]]


def test_the_edge_contract_lists_the_columns_in_training_order() -> None:
    columns = contract("promo_price_edge")["columns"]
    assert tuple(column["name"] for column in columns) == EDGE_COLUMNS
    deep = read_json(CLOUD / "promo_price_deep.features.json")["columns"]
    assert tuple(column["name"] for column in deep) == EDGE_COLUMNS + FLEET_COLUMNS


def test_every_table_column_a_contract_reads_is_in_the_books() -> None:
    tables = {name: book_table(name, 47).columns for name in ("chain", "store", "plan")}
    tables["prices"] = prices_table().columns
    for name in STORE_CONTRACTS:
        for place in re.findall(r"\b(chain|store|plan|prices)\.(\w+)", json.dumps(contract(name))):
            assert place[1] in tables[place[0]]


@pytest.mark.parametrize("week", BOOK_WEEKS)
def test_a_book_knows_nothing_of_its_own_week(week: int) -> None:
    plan = book_table("plan", week).meta
    for name in ("chain", "store", "plan"):
        assert book_table(name, week).meta["as_of"] < plan["first_day"]


@pytest.mark.parametrize("table", ["chain", "store", "plan"])
def test_a_table_is_sorted_unique_and_finds_its_rows(table: str) -> None:
    content = book_table(table, 49)
    assert np.all(content.keys[:-1] < content.keys[1:])
    for at in (0, len(content.keys) // 2, len(content.keys) - 1):
        row = content.row(content.keys[at].decode())
        assert row is not None
        np.testing.assert_array_equal(row, content.values[at])
    assert content.row("no such product") is None


def test_an_unpacked_book_holds_the_same_tables(tmp_path: Path) -> None:
    unpack_book(50, tmp_path)
    for name in ("chain", "store", "plan"):
        table = book_table(name, 50)
        values = np.load(tmp_path / name / "values.npy", mmap_mode="r")
        assert values.flags.c_contiguous
        np.testing.assert_array_equal(values, table.values)
        np.testing.assert_array_equal(np.load(tmp_path / name / "keys.npy"), table.keys)
        assert json.loads((tmp_path / name / "table.json").read_text()) == table.meta


def test_no_store_file_holds_what_only_the_cloud_may_know() -> None:
    for path in STORE.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                content = b"".join(archive.read(name) for name in archive.namelist())
                content += " ".join(archive.namelist()).encode()
        for word in CLOUD_ONLY:
            # As a whole word: random bytes of a matrix may well spell "fw_n" inside another.
            pattern = rb"(?<![A-Za-z0-9_])" + word.encode() + rb"(?![A-Za-z0-9_])"
            assert not re.search(pattern, content), f"{path.name} names {word}"


def test_the_search_for_cloud_words_finds_them_where_they_are() -> None:
    deep = (CLOUD / "promo_price_deep.features.json").read_bytes()
    assert all(re.search(rf"\b{name}\b".encode(), deep) for name in FLEET_COLUMNS)
    assert b"hist_item" in (CLOUD / "basket_rec_deep.onnx").read_bytes()


def test_older_books_ask_for_more_confidence() -> None:
    rows = read_json(STORE / "bands.json")["bands"]
    assert {(row["age_days_max"], row["plan"]) for row in rows} == {
        (days, plan) for days in (7, 14, 21, 28) for plan in ("kept", "missing")
    }
    for plan in ("kept", "missing"):
        asked = [row["accept_confidence"] for row in rows if row["plan"] == plan]
        assert asked == sorted(asked)
        assert all(0.5 < confidence < 1 for confidence in asked)


@pytest.mark.parametrize("card", sorted(CARDS.glob("*.json")), ids=lambda path: path.stem)
def test_a_card_states_validation_beside_test_and_its_limits(card: Path) -> None:
    content = read_json(card)
    assert set(content["figures"]) == {"validation", "test"}
    assert content["limits"]
    for name in content["files"]:
        assert (ROOT / name).is_file()
    page = card.with_suffix(".md").read_text(encoding="utf-8")
    assert all(limit in page for limit in content["limits"])


def test_every_model_has_a_card() -> None:
    cards = {path.stem for path in CARDS.glob("*.json")}
    assert {model.stem for model in (*ROW_MODELS, *CART_MODELS)} == cards
