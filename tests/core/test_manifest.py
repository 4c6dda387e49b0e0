"""A manifest means exactly what its author wrote, or is refused with key and remedy."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from math import inf, isnan
from typing import Any

import pytest

from terminal_client.core.feature_contract import (
    LineValue,
    Ratio,
    StoreLogValue,
    TableColumn,
    Weekday,
    table_column,
)
from terminal_client.core.manifest import (
    CPU_PROVIDER,
    FeaturesManifest,
    ModelManifest,
    Scope,
    read_manifest,
)
from terminal_client.core.reading import DocumentError

HASH = "ab" * 32
LINE_MODEL: dict[str, Any] = {
    "schema": 1,
    "kind": "model",
    "name": "promo_price_edge",
    "version": "1.2.0",
    "as_of": "2017-10-09T00:00:00-04:00",
    "files": {"model.onnx": HASH, "x.npy": f"sha256:{HASH}", "p.npy": HASH},
    "model_file": "model.onnx",
    "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, 8]}],
    "outputs": [{"name": "p", "dtype": "float32", "shape": [-1]}],
    "features": [
        {"name": "c1_n", "source": "table:chain.c1_n", "unit": "lines", "min": 0, "absent": 0},
        {"name": "c1_r", "source": "table:chain.c1_r", "max": None},
        {"name": "shelf", "source": "line:shelf_minor/100", "min": 0.01},
        {"name": "qty", "source": "line:quantity"},
        {"name": "prat", "source": "ratio:shelf_minor/store.price_minor", "min": 0, "max": 10},
        {"name": "paid", "source": "ratio:extended_minor/gross_minor", "min": 0, "max": 50},
        {"name": "lm_r", "source": "log:lm.r"},
        {"name": "dow", "source": "basket:dow", "unit": "weekday", "min": 1, "max": 7},
    ],
    "logs": {"ls": {"by": "product"}, "lm": {"by": "table:chain.mc_id", "span": "this week"}},
    "golden": {"inputs": {"x": "x.npy"}, "outputs": {"p": "p.npy"}, "abs_tolerance": 0.0001},
    "p95_ms": 5,
}
CART_MODEL: dict[str, Any] = {
    "schema": 1,
    "kind": "model",
    "name": "basket_rec_edge",
    "version": "1.0.0-rc.1",
    "as_of": "2017-10-09T00:00:00Z",
    "files": dict.fromkeys(("m.onnx", "items.txt", "stores.txt", "a.npy"), HASH),
    "model_file": "m.onnx",
    "scope": "cart",
    "cart": {"vocabulary": "items.txt", "stores": "stores.txt", "length": 20},
    "inputs": [
        {"name": "cart", "dtype": "int64", "shape": [-1, 20]},
        {"name": "store", "dtype": "int64", "shape": [-1]},
    ],
    "outputs": [
        {"name": "score", "dtype": "float32", "shape": [-1, 10]},
        {"name": "item", "dtype": "int64", "shape": [-1, 10]},
    ],
    "golden": {
        "inputs": {"cart": "a.npy", "store": "a.npy"},
        "outputs": {"score": "a.npy", "item": "a.npy"},
        "abs_tolerance": 0,
    },
    "p95_ms": 1,
    "provider": "CUDAExecutionProvider",
    "provenance": {"commit": "abc", "rows": 12},
}
BOOK: dict[str, Any] = {
    "schema": 1,
    "kind": "features",
    "name": "book",
    "version": "1.47.0",
    "as_of": "2017-11-20T05:00:00+00:00",
    "files": {"tables/k.npy": HASH, "v.npy": HASH},
    "tables": {
        "chain": {"keys": "tables/k.npy", "values": "v.npy", "columns": ["a", "b"]},
        "plan_w47": {
            "table": "plan", "keys": "tables/k.npy", "values": "v.npy", "columns": ["mail"],
            "first_date": 20171120, "last_date": 20171126,
        },
        "open": {
            "keys": "tables/k.npy", "values": "v.npy", "columns": ["a"], "first_date": 20171120,
        },
    },
}  # fmt: skip


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    whole = copy.deepcopy(document)
    *parents, last = path.split("/")
    place: Any = whole
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    if value is None:
        del place[last]
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return whole


def test_a_line_models_manifest_is_read_as_written() -> None:
    manifest = read_manifest(LINE_MODEL)
    assert isinstance(manifest, ModelManifest)
    assert manifest.as_of == datetime(2017, 10, 9, 4, tzinfo=UTC)
    assert (manifest.scope, manifest.cart, manifest.provider) == (Scope.LINE, None, CPU_PROVIDER)
    assert manifest.tables == {"chain", "store"}
    assert set(manifest.files.values()) == {HASH}
    sources = [feature.source for feature in manifest.features]
    assert sources[0] == TableColumn(table="chain", column="c1_n", absent=0.0)
    assert isinstance(sources[1], TableColumn)
    assert isnan(sources[1].absent)
    assert sources[2:4] == [
        LineValue(field="shelf_minor", divisor=100),
        LineValue(field="quantity"),
    ]
    assert isinstance(sources[4], Ratio)
    assert (sources[4].over, sources[4].low, sources[4].high) == ("shelf_minor", 0, 10)
    assert sources[5] == Ratio(
        over="extended_minor", under=LineValue(field="gross_minor"), low=0, high=50
    )
    assert isinstance(sources[6], StoreLogValue)
    assert sources[6].share
    assert sources[7] == Weekday()
    names = [column.column if (column := table_column(s)) else "" for s in sources]
    assert names == ["c1_n", "c1_r", "", "", "price_minor", "", "mc_id", ""]
    assert (manifest.features[1].low, manifest.features[1].high) == (-inf, inf)


def test_a_cart_models_manifest_is_read_as_written() -> None:
    manifest = read_manifest(CART_MODEL)
    assert isinstance(manifest, ModelManifest)
    assert manifest.cart is not None
    assert (manifest.scope, manifest.cart.length) == (Scope.CART, 20)
    assert (manifest.provider, manifest.tables) == ("CUDAExecutionProvider", frozenset())


def test_a_features_manifest_is_read_as_written() -> None:
    manifest = read_manifest(BOOK)
    assert isinstance(manifest, FeaturesManifest)
    chain, plan, unending = manifest.tables.values()
    assert (chain.table, plan.table, unending.table) == ("chain", "plan", "open")
    assert [chain.valid_on(day) for day in (19700101, 22001231)] == [True, True]
    days = (20171119, 20171120, 20171126, 20171127)
    assert [plan.valid_on(day) for day in days] == [False, True, True, False]
    assert [unending.valid_on(day) for day in (20171119, 22001231)] == [False, True]


FEATURE = "features/0"
BAD_MODELS = [
    ("schema", 2, "manifest.schema"),
    ("kind", "magic", "manifest.kind"),
    ("surprise", 1, "manifest.surprise"),
    ("name", "Promo Price", "manifest.name"),
    ("version", "1.2", "manifest.version"),
    ("as_of", "2017-10-09", "manifest.as_of"),
    ("as_of", "yesterday", "manifest.as_of"),
    ("files/model.onnx", "abc", "manifest.files.model.onnx"),
    ("files/model.onnx", 7, "manifest.files.model.onnx"),
    ("files/..", HASH, "manifest.files..."),
    ("files/a..b", HASH, "manifest.files.a..b"),
    ("files/UPPER", HASH, "manifest.files.UPPER"),
    ("model_file", "other.onnx", "manifest.model_file"),
    ("inputs", [], "manifest.inputs"),
    ("outputs", [], "manifest.inputs"),
    ("inputs/0/dtype", "float64", "manifest.inputs[0].dtype"),
    ("inputs/0/shape", [-2, 8], "manifest.inputs[0].shape[0].axis"),
    ("inputs/0/shape", [-1, 7], "manifest.inputs"),
    ("inputs/0/dtype", "int64", "manifest.inputs"),
    ("golden/inputs", {"y": "x.npy"}, "manifest.golden.inputs"),
    ("golden/outputs", {}, "manifest.golden.outputs"),
    ("golden/outputs/p", "gone.npy", "manifest.golden.outputs.p.file"),
    ("golden/abs_tolerance", 2, "manifest.golden.abs_tolerance"),
    ("p95_ms", 0, "manifest.p95_ms"),
    ("features/1/name", "c1_n", "manifest.features"),
    (f"{FEATURE}/source", "oracle:chain.c1_n", "manifest.features[0].source"),
    (f"{FEATURE}/source", "table:chain", "manifest.features[0].source"),
    (f"{FEATURE}/source", "table:chain.C1", "manifest.features[0].source"),
    (f"{FEATURE}/source", "line:age", "manifest.features[0].source"),
    (f"{FEATURE}/source", "line:shelf_minor/0", "manifest.features[0].source"),
    (f"{FEATURE}/source", "line:shelf_minor/x", "manifest.features[0].source"),
    (f"{FEATURE}/source", "ratio:age/chain.c1_n", "manifest.features[0].source"),
    (f"{FEATURE}/source", "ratio:shelf_minor", "manifest.features[0].source"),
    (f"{FEATURE}/source", "log:lx.n", "manifest.features[0].source"),
    (f"{FEATURE}/source", "log:ls.x", "manifest.features[0].source"),
    (f"{FEATURE}/source", "basket:hour", "manifest.features[0].source"),
    (f"{FEATURE}/min", 9e18, "manifest.features[0].min"),
    ("features/7/min", 8, "manifest.features[7].min"),
    (f"{FEATURE}/surprise", 1, "manifest.features[0].surprise"),
    ("logs/ls/by", "household", "manifest.logs.ls.by"),
    ("logs/ls/surprise", 1, "manifest.logs.ls.surprise"),
    ("cart", {}, "manifest.cart"),
]
BAD_CARTS = [
    ("cart/length", 19, "manifest.inputs"),
    ("cart/vocabulary", "gone.txt", "manifest.cart.vocabulary"),
    ("cart/surprise", 1, "manifest.cart.surprise"),
    ("cart", None, "manifest.cart"),
    ("outputs/1/dtype", "float32", "manifest.inputs"),
    ("provenance", 7, "manifest.provenance"),
]
BAD_BOOKS = [
    ("tables", {}, "manifest.tables"),
    ("tables/chain/columns", [], "manifest.tables.chain.columns"),
    ("tables/chain/columns", ["a", "a"], "manifest.tables.chain.columns"),
    ("tables/chain/keys", "gone.npy", "manifest.tables.chain.keys"),
    ("tables/chain/surprise", 1, "manifest.tables.chain.surprise"),
    ("tables/plan_w47/last_date", 20171119, "manifest.tables.plan_w47.last_date"),
]


@pytest.mark.parametrize(
    ("document", "path", "value", "named"),
    [(LINE_MODEL, *bad) for bad in BAD_MODELS]
    + [(CART_MODEL, *bad) for bad in BAD_CARTS]
    + [(BOOK, *bad) for bad in BAD_BOOKS],
)
def test_a_bad_manifest_is_refused_by_name(
    document: dict[str, Any], path: str, value: object, named: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        read_manifest(changed(document, path, value))
    assert caught.value.path == named
    assert caught.value.remedy
