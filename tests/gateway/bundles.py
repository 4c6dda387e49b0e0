"""Bundles of a small store, as control unpacks them.

The price model's score is the ``p`` column of the chain table, so a test chooses each
item's score by the item's name: ``sure-yes`` .99, ``sure-no`` .01, ``maybe`` .5, ``nan``.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from terminal_client.core.fallback import digest_of, pack
from tests.core.policies import POLICY
from tests.gateway.onnx_model import cart_model, price_model

STORE = "367"
NOW = datetime(2017, 11, 22, 17, 0, tzinfo=UTC)
"""A Wednesday, noon in the store (UTC-5)."""
SCORES = {"sure-yes": 0.99, "sure-no": 0.01, "maybe": 0.5, "nan": np.nan, "quite": 0.9}
FEATURES: list[dict[str, Any]] = [
    {"name": "p", "source": "table:chain.p", "unit": "share", "min": 0, "max": 1},
    {"name": "mail", "source": "table:plan.mail", "unit": "code", "absent": 0},
    {"name": "ls_n", "source": "log:ls.n", "unit": "lines", "min": 0, "max": None},
    {"name": "shelf", "source": "line:shelf_minor/100", "unit": "dollars"},
    {"name": "prat", "source": "ratio:shelf_minor/chain.price_minor", "min": 0, "max": 10},
    {"name": "dow", "source": "basket:dow", "unit": "weekday", "min": 1, "max": 7},
]
ITEMS = [f"item-{number:03d}" for number in range(50)]


@dataclass(frozen=True)
class Staged:
    """What control would stage."""

    kind: str
    digest: str
    path: Path


def policy(**workflows: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy for tests: rises at once; keys of workflows are added or replaced."""
    document = copy.deepcopy(POLICY)
    document["rise_after_ms"] = 0
    document["workflows"]["price_check"]["both_uncertain"] = "review"
    for name, change in workflows.items():
        document["workflows"][name] = {**document["workflows"].get(name, {}), **change}
    return document


def rules_document(**changes: Any) -> dict[str, Any]:
    """Return a whole rules document."""
    return {
        "schema": 1,
        "name": "store-367",
        "version": "1.0.0",
        "as_of": (NOW - timedelta(days=2)).isoformat(),
        "store_id": STORE,
        "time_zone": {"name": "America/New_York", "transitions": [[0, -18_000]]},
        "policy": policy(),
        "rules": [],
        "promotions": [],
        "coupons": {},
        "tables": {
            "price": {"plan": [], "majority": ["maybe", "sure-no"]},
            "recommendation": {"items": ["best-1", "best-2", "best-3"], "count": 3},
            "arrivals": {"per_hour": [[30] * 24] * 7, "service_s": 90, "lanes": 2},
        },
        **changes,
    }


def rules_bundle(folder: Path, **changes: Any) -> Staged:
    """Write a rules bundle."""
    raw = pack(rules_document(**changes))
    digest = digest_of(raw)
    path = folder / f"{digest[7:15]}.rules"
    path.write_bytes(raw)
    return Staged("rules", digest, path)


def features_bundle(
    folder: Path, *, as_of: datetime = NOW - timedelta(days=3), plan: bool = True
) -> Staged:
    """Write a features bundle: a chain table, and this week's plan."""
    folder.mkdir(parents=True)
    names = sorted(SCORES)
    chain = np.array([[SCORES[name], 200.0] for name in names], np.float32)
    tables: dict[str, tuple[list[str], Any, list[str], dict[str, Any]]] = {
        "chain": (names, chain, ["p", "price_minor"], {})
    }
    if plan:
        weeks = {"first_date": 2017_11_20, "last_date": 2017_11_26}
        mailed = np.array([[2.0]], np.float32)
        tables["plan-47"] = (["maybe"], mailed, ["mail"], {"table": "plan", **weeks})
    entries = {}
    for entry, (keys, values, columns, more) in tables.items():
        np.save(folder / f"{entry}.keys.npy", np.array([key.encode() for key in keys]))
        np.save(folder / f"{entry}.values.npy", values)
        entries[entry] = {
            "keys": f"{entry}.keys.npy",
            "values": f"{entry}.values.npy",
            "columns": columns,
            **more,
        }
    return _sealed(
        folder, {"kind": "features", "name": "book", "as_of": as_of.isoformat(), "tables": entries}
    )


def price_bundle(
    folder: Path,
    *,
    model: bytes | None = None,
    golden_score: float = 0.25,
    golden_rows: int = 3,
    **changes: Any,
) -> Staged:
    """Write a price model's bundle."""
    width = len(FEATURES)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(price_model(width) if model is None else model)
    rows = np.zeros((golden_rows, width), np.float32)
    rows[:, 0] = 0.25
    np.save(folder / "golden-in.npy", rows)
    np.save(folder / "golden-out.npy", np.full(golden_rows, golden_score, np.float32))
    manifest = {
        "kind": "model",
        "name": "promo_price_edge",
        "as_of": (NOW - timedelta(days=10)).isoformat(),
        "model_file": "model.onnx",
        "inputs": [{"name": "x", "dtype": "float32", "shape": [-1, width]}],
        "outputs": [{"name": "p", "dtype": "float32", "shape": [-1]}],
        "features": FEATURES,
        "logs": {"ls": {"by": "product", "span": "this week before today"}},
        "golden": {
            "inputs": {"x": "golden-in.npy"},
            "outputs": {"p": "golden-out.npy"},
            "abs_tolerance": 1e-6,
        },
        "p95_ms": 10_000,
        **changes,
    }
    return _sealed(folder, manifest)


def cart_bundle(folder: Path) -> Staged:
    """Write a cart model's bundle."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(cart_model(len(ITEMS), 20, 10))
    (folder / "items.txt").write_text("\n".join(ITEMS))
    (folder / "stores.txt").write_text(STORE)
    ranked = np.arange(50, 40, -1, dtype=np.int64)[None]
    np.save(folder / "cart.npy", np.ones((1, 20), np.int64))
    np.save(folder / "store.npy", np.ones(1, np.int64))
    np.save(folder / "item.npy", ranked)
    np.save(folder / "score.npy", (ranked / 50).astype(np.float32))
    manifest = {
        "kind": "model",
        "name": "basket_rec_edge",
        "as_of": (NOW - timedelta(days=10)).isoformat(),
        "model_file": "model.onnx",
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
            "inputs": {"cart": "cart.npy", "store": "store.npy"},
            "outputs": {"item": "item.npy", "score": "score.npy"},
            "abs_tolerance": 1e-6,
        },
        "p95_ms": 10_000,
    }
    return _sealed(folder, manifest)


def _sealed(folder: Path, manifest: dict[str, Any]) -> Staged:
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }
    whole = {"schema": 1, "version": "1.0.0", "files": files, **manifest}
    raw = json.dumps(whole, sort_keys=True).encode()
    (folder / "manifest.json").write_bytes(raw)
    return Staged(manifest["kind"], f"sha256:{hashlib.sha256(raw).hexdigest()}", folder)
