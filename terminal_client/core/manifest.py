"""What a model or features bundle says about itself, read strictly.

Owns the manifest's types and their reading, for the box that loads a bundle and for the
desk that publishes it. Refuses to touch files: whoever does compares ``files`` first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from terminal_client.core.feature_contract import Feature, read_feature, read_log, table_column
from terminal_client.core.reading import DocumentError, Fields

SCHEMA = 1
DTYPES = ("float32", "int64")
CPU_PROVIDER = "CPUExecutionProvider"
_FILE = re.compile(r"[a-z0-9_][a-z0-9._-]*(/[a-z0-9_][a-z0-9._-]*)*\Z")
_SHA256 = re.compile(r"(sha256:)?([0-9a-f]{64})\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_VERSION = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z.-]{1,64})?\Z")

T = TypeVar("T")


class Scope(StrEnum):
    """What one row of the model's input is about."""

    LINE = "line"
    CART = "cart"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output. ``-1`` in ``shape`` is free: the batch."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CartEncoding:
    """How a cart becomes numbers, for models of scope ``cart``.

    ``vocabulary`` and ``stores`` are text files, one id per line, UTF-8. The item or store
    at line ``i`` (from 0) is the number ``i + 1``, in inputs and outputs alike; 0 pads, or
    is unknown. ``length`` items fit into the cart. Inputs are ``cart`` int64 [-1, length]
    and ``store`` int64 [-1]; outputs ``item`` int64 and ``score`` float32, best first.
    """

    vocabulary: str
    stores: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Inputs and outputs (tensor name to ``.npy`` file) that must come out again."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    abs_tolerance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """A model bundle. ``p95_ms`` is the slowest 95th percentile it may have on a box."""

    name: str
    version: str
    as_of: datetime
    files: Mapping[str, str]
    model_file: str
    scope: Scope
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    features: tuple[Feature, ...]
    cart: CartEncoding | None
    golden: Golden
    p95_ms: float
    provider: str

    @property
    def tables(self) -> frozenset[str]:
        """Return the feature tables its rows read."""
        columns = (table_column(feature.source) for feature in self.features)
        return frozenset(column.table for column in columns if column is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableManifest:
    """One feature table: sorted ids and a float32 matrix, as ``.npy`` files.

    ``table`` is what features call it; several entries may serve one table on different
    store-local dates (``first_date`` to ``last_date`` as yyyymmdd, inclusive; 0: always).
    """

    table: str
    keys: str
    values: str
    columns: tuple[str, ...]
    first_date: int = 0
    last_date: int = 0

    def valid_on(self, date: int) -> bool:
        """Tell whether it may be read for a basket of ``date`` (yyyymmdd)."""
        return self.first_date <= date and (not self.last_date or date <= self.last_date)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesManifest:
    """A features bundle: tables by entry name."""

    name: str
    version: str
    as_of: datetime
    files: Mapping[str, str]
    tables: Mapping[str, TableManifest]


def read_manifest(value: object, path: str = "manifest") -> ModelManifest | FeaturesManifest:
    """Read a manifest from its JSON value.

    Raises:
        DocumentError: something is missing, mistyped, unknown or contradicts itself.
    """
    fields = Fields(value, path)
    fields.integer("schema", SCHEMA, SCHEMA)
    kind = fields.choice("kind", {kind: kind for kind in ("model", "features")})
    if fields.has("provenance"):
        fields.object("provenance")
    manifest = _read_model(fields) if kind == "model" else _read_features(fields)
    fields.close()
    return manifest


def _read_model(fields: Fields) -> ModelManifest:
    files = _files(fields)
    logs = fields.table("logs", read_log)
    scope = fields.choice("scope", {scope.value: scope for scope in Scope}, "line")
    manifest = ModelManifest(
        name=_match(fields, "name", _NAME, "a name of [a-z0-9._-]"),
        version=_match(fields, "version", _VERSION, "a semantic version"),
        as_of=_as_of(fields),
        files=files,
        model_file=_listed(fields, "model_file", files),
        scope=scope,
        inputs=fields.items("inputs", _read_tensor),
        outputs=fields.items("outputs", _read_tensor),
        features=fields.items("features", lambda value, path: read_feature(value, path, logs)),
        cart=_read_cart(fields.object("cart"), files) if scope is Scope.CART else None,
        golden=_read_golden(fields.object("golden"), files),
        p95_ms=fields.number("p95_ms", 0.001, 60_000),
        provider=fields.text("provider", CPU_PROVIDER, longest=64),
    )
    _check_model(manifest, fields)
    return manifest


def _check_model(manifest: ModelManifest, fields: Fields) -> None:
    if not manifest.inputs or not manifest.outputs:
        raise DocumentError(fields.at("inputs"), "or outputs are empty", "list every tensor")
    for key, tensors, golden in (
        ("inputs", manifest.inputs, manifest.golden.inputs),
        ("outputs", manifest.outputs, manifest.golden.outputs),
    ):
        if {tensor.name for tensor in tensors} != set(golden):
            raise DocumentError(
                fields.at(f"golden.{key}"), f"and {key} differ", "give a file per tensor"
            )
    if manifest.cart is not None:
        _check_cart(manifest, manifest.cart, fields)
        return
    names = [feature.name for feature in manifest.features]
    if len(set(names)) != len(names):
        raise DocumentError(fields.at("features"), "names a column twice", "name each once")
    width = (-1, len(names))
    first = manifest.inputs[0]
    if len(manifest.inputs) != 1 or (first.dtype, first.shape) != ("float32", width):
        raise DocumentError(
            fields.at("inputs"),
            "do not fit the features",
            f"declare one float32 tensor of shape {list(width)}",
        )


def _check_cart(manifest: ModelManifest, cart: CartEncoding, fields: Fields) -> None:
    wanted = {"cart": ("int64", (-1, cart.length)), "store": ("int64", (-1,))}
    found = {tensor.name: (tensor.dtype, tensor.shape) for tensor in manifest.inputs}
    outputs = {tensor.name: tensor.dtype for tensor in manifest.outputs}
    if found != wanted or (outputs.get("item"), outputs.get("score")) != ("int64", "float32"):
        raise DocumentError(
            fields.at("inputs"),
            "or outputs are not those of a cart",
            "declare cart, store and item, score as docs/decision.md says",
        )


def _read_features(fields: Fields) -> FeaturesManifest:
    files = _files(fields)

    def read_table(value: object, path: str) -> TableManifest:
        return _read_table(Fields(value, path), files)

    manifest = FeaturesManifest(
        name=_match(fields, "name", _NAME, "a name of [a-z0-9._-]"),
        version=_match(fields, "version", _VERSION, "a semantic version"),
        as_of=_as_of(fields),
        files=files,
        tables=fields.table("tables", read_table),
    )
    if not manifest.tables:
        raise DocumentError(fields.at("tables"), "is empty", "declare at least one table")
    return manifest


def _read_table(fields: Fields, files: Mapping[str, str]) -> TableManifest:
    first = fields.integer("first_date", 0, 2200_12_31, default=0)
    table = TableManifest(
        table=fields.text("table", fields.path.rpartition(".")[2], longest=64),
        keys=_listed(fields, "keys", files),
        values=_listed(fields, "values", files),
        columns=fields.texts("columns"),
        first_date=first,
        last_date=fields.integer("last_date", first, 2200_12_31, default=first and 2200_12_31),
    )
    fields.close()
    if not table.columns or len(set(table.columns)) != len(table.columns):
        raise DocumentError(fields.at("columns"), "are empty or repeat", "name each column once")
    return table


def _read_tensor(value: object, path: str) -> TensorSpec:
    fields = Fields(value, path)
    tensor = TensorSpec(
        name=fields.text("name", longest=128),
        dtype=fields.choice("dtype", {dtype: dtype for dtype in DTYPES}),
        shape=fields.items("shape", _read_axis),
    )
    fields.close()
    return tensor


def _read_axis(value: object, path: str) -> int:
    return Fields({"axis": value}, path).integer("axis", -1, 2**31 - 1)


def _read_cart(fields: Fields, files: Mapping[str, str]) -> CartEncoding:
    cart = CartEncoding(
        vocabulary=_listed(fields, "vocabulary", files),
        stores=_listed(fields, "stores", files),
        length=fields.integer("length", 1, 2_000),
    )
    fields.close()
    return cart


def _read_golden(fields: Fields, files: Mapping[str, str]) -> Golden:
    def read_file(value: object, path: str) -> str:
        return _listed(Fields({"file": value}, path), "file", files)

    golden = Golden(
        inputs=fields.table("inputs", read_file),
        outputs=fields.table("outputs", read_file),
        abs_tolerance=fields.number("abs_tolerance", 0.0, 1.0),
    )
    fields.close()
    return golden


def _files(fields: Fields) -> dict[str, str]:
    files = fields.table("files", _read_sha256)
    for name in files:
        if not _FILE.match(name) or ".." in name:
            raise DocumentError(
                fields.at(f"files.{name:.64}"), "is no file name", "use [a-z0-9._-] and /"
            )
    return files


def _read_sha256(value: object, path: str) -> str:
    match = _SHA256.match(value) if isinstance(value, str) else None
    if match is None:
        raise DocumentError(path, "is no SHA-256", "write 64 hexadecimal digits")
    return match[2]


def _listed(fields: Fields, key: str, files: Mapping[str, str]) -> str:
    name = fields.text(key)
    if name not in files:
        raise DocumentError(fields.at(key), f"is {name!r:.80}", "name one of the bundle's files")
    return name


def _match(fields: Fields, key: str, pattern: re.Pattern[str], wanted: str) -> str:
    text = fields.text(key)
    if not pattern.match(text):
        raise DocumentError(fields.at(key), f"is {text!r:.80}", f"write {wanted}")
    return text


def _as_of(fields: Fields) -> datetime:
    text = fields.text("as_of", longest=40)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise DocumentError(
            fields.at("as_of"), f"is {text!r}", "write a time with its offset, ISO 8601"
        )
    return moment.astimezone(UTC)
