"""The demo's desk: builds the store's bundles from committed files and signs them."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cloud_sync.publisher.artifact_bundle import build_artifact
from cloud_sync.publisher.repository import Repository
from cloud_sync.publisher.rules_bundle import RulesBundleBuilder
from examples.complete_journey.artifacts import (
    BOOK_WEEKS,
    DEMO_STORE,
    STORE,
    Table,
    book_table,
    prices_table,
    read_json,
)
from examples.complete_journey.golden import TOLERANCE, read_golden
from examples.complete_journey.rules_source import book_time, rules_source, yyyymmdd
from terminal_client.core.fallback import FallbackBundle

Tensor = npt.NDArray[Any]

RING = "one-store"
EDGE_MODEL = "promo_price_edge"
ANOMALY_MODEL = "receipt_anomaly_edge"
CART_MODEL = "basket_rec_edge"
MODELS = (EDGE_MODEL, ANOMALY_MODEL, CART_MODEL)
TRAINED = datetime(2017, 10, 9, tzinfo=UTC)
"""When the models' training data ends: the Monday after week 40."""


class Desk:
    """Signs what the store runs, into a tree of static files."""

    def __init__(self, tree: Path, keys: Path) -> None:
        self._repository = Repository.init(tree, keys, now=datetime.now(UTC))
        self._rules = RulesBundleBuilder()

    @property
    def root(self) -> bytes:
        """What every machine of the store pins."""
        return self._repository.root

    def publish_models(self) -> None:
        """Publish the edge models, and let the store run them."""
        for name in (EDGE_MODEL, ANOMALY_MODEL):
            self._release("models", name, "1.0.0", line_model_bundle(name), TRAINED)
        self._release("models", CART_MODEL, "1.0.0", cart_model_bundle(), TRAINED)

    def publish_week(self, week: int) -> FallbackBundle:
        """Publish the price book and the rules of ``week``, let the store run them; the rules."""
        as_of = book_time(week)
        built = self._rules.build(rules_source(week))
        self._release("features", "book", f"1.{week}.0", book_bundle(week), as_of)
        self._release("rules", "rules", f"1.{week}.0", built.raw, as_of)
        return FallbackBundle.load(built.raw, built.digest)

    def _release(
        self, channel: str, name: str, version: str, bundle: bytes, as_of: datetime
    ) -> None:
        now = datetime.now(UTC)
        self._repository.publish(channel, name, version, bundle, as_of, now=now)
        self._repository.promote(RING, channel, name, version, now=now)


def line_model_bundle(name: str) -> bytes:
    """Return a model that scores lines, with its contract and golden rows."""
    model = STORE / f"{name}.onnx"
    contract = read_json(STORE / f"{name}.features.json")
    rows, scores = read_golden(model)
    return build_artifact(
        {
            "schema": 1,
            "kind": "model",
            "name": name,
            "version": "1.0.0",
            "as_of": TRAINED.isoformat(),
            "model_file": "model.onnx",
            "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, len(contract["columns"])]}],
            "outputs": [{"name": "p", "dtype": "float32", "shape": [-1]}],
            "features": contract["columns"],
            "logs": contract["logs"],
            "golden": {
                "inputs": {"x": "golden-x.npy"},
                "outputs": {"p": "golden-p.npy"},
                "abs_tolerance": TOLERANCE,
            },
            "p95_ms": 5.0,
        },
        {
            "model.onnx": model.read_bytes(),
            "golden-x.npy": _npy(rows),
            "golden-p.npy": _npy(scores),
        },
    )


def cart_model_bundle() -> bytes:
    """Return the recommendation's edge model with its vocabulary and golden carts."""
    golden = read_json(STORE / f"{CART_MODEL}.golden.json")
    inputs: dict[str, Tensor] = {
        name: np.array(value, np.int64) for name, value in golden["inputs"].items()
    }
    outputs: dict[str, Tensor] = {
        "item": np.array(golden["expected"]["item"], np.int64),
        "score": np.array(golden["expected"]["score"], np.float32),
    }
    length = inputs["cart"].shape[1]
    return build_artifact(
        {
            "schema": 1,
            "kind": "model",
            "name": CART_MODEL,
            "version": "1.0.0",
            "as_of": TRAINED.isoformat(),
            "scope": "cart",
            "cart": {"vocabulary": "items.txt", "stores": "stores.txt", "length": length},
            "model_file": "model.onnx",
            "inputs": [
                {"name": "cart", "dtype": "int64", "shape": [-1, length]},
                {"name": "store", "dtype": "int64", "shape": [-1]},
            ],
            "outputs": [
                {"name": "item", "dtype": "int64", "shape": [-1, outputs["item"].shape[1]]},
                {"name": "score", "dtype": "float32", "shape": [-1, outputs["score"].shape[1]]},
            ],
            "golden": {
                "inputs": {name: f"golden-{name}.npy" for name in inputs},
                "outputs": {name: f"golden-{name}.npy" for name in outputs},
                "abs_tolerance": golden["tolerance"],
            },
            "p95_ms": 5.0,
        },
        {
            "model.onnx": (STORE / f"{CART_MODEL}.onnx").read_bytes(),
            "items.txt": (STORE / f"{CART_MODEL}.items.txt").read_bytes(),
            "stores.txt": (STORE / f"{CART_MODEL}.stores.txt").read_bytes(),
            **{f"golden-{name}.npy": _npy(array) for name, array in (inputs | outputs).items()},
        },
    )


def book_bundle(week: int) -> bytes:
    """Return the price book of ``week``: chain, store, price habits, the plans of two weeks."""
    tables: dict[str, Table] = {name: book_table(name, week) for name in ("chain", "store")}
    tables["prices"] = prices_table()
    for planned in (week, week + 1):
        if planned in BOOK_WEEKS:
            tables[f"plan_w{planned}"] = book_table("plan", planned)
    files: dict[str, bytes] = {}
    entries: dict[str, Any] = {}
    for entry, table in tables.items():
        keys, values = f"{entry}.keys.npy", f"{entry}.values.npy"
        files[keys], files[values] = _npy(table.keys), _npy(table.values)
        entries[entry] = {"keys": keys, "values": values, "columns": table.columns}
        if entry.startswith("plan_"):
            entries[entry] |= {
                "table": "plan",
                "first_date": yyyymmdd(table.meta["first_day"]),
                "last_date": yyyymmdd(table.meta["last_day"]),
            }
    return build_artifact(
        {
            "schema": 1,
            "kind": "features",
            "name": "book",
            "version": f"1.{week}.0",
            "as_of": book_time(week).isoformat(),
            "tables": entries,
            "provenance": {"store": str(DEMO_STORE), "week": week},
        },
        files,
    )


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
