"""Where the committed files live, and how to read them with numpy alone.

Owns the layout under ``artifacts/``: ``store/`` is what a store may hold, ``cloud/`` what
only the cloud may, ``rules/`` feeds the rules publisher, ``replay/`` the demo, ``cards/``
the model cards.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).parent
STORE, CLOUD, RULES, REPLAY, CARDS = (
    ROOT / name for name in ("store", "cloud", "rules", "replay", "cards")
)

DEMO_STORE = 367
BOOK_WEEKS = range(46, 54)
"""Weeks for which a price book of the demo store is committed."""


Ints = npt.NDArray[np.signedinteger[Any]]
Floats = npt.NDArray[np.float32]

_ITEMS = STORE / "tables" / "items.npz"
_PRICES = STORE / "tables" / "prices.npz"
_OF_PRODUCT = ("c1_n", "c1_r", "c4_n", "c4_r", "ca_n", "ca_r", "price_minor")


@dataclass(frozen=True)
class Table:
    """A read-only feature table: sorted ``keys`` (bytes), ``values`` float32 [rows, columns].

    NaN is unknown. ``meta`` holds table, columns, units, as_of (ISO date, the last day the
    table knows; a plan: its week's Monday, first_day, and last_day) and week.
    """

    keys: npt.NDArray[np.bytes_]
    values: npt.NDArray[np.float32]
    meta: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        """Return the column names, in the order of ``values``."""
        return list(self.meta["columns"])

    def row(self, key: str) -> npt.NDArray[np.float32] | None:
        """Return one key's values, or None when the key is not in the table."""
        wanted = np.bytes_(key.encode())
        at = int(np.searchsorted(self.keys, wanted))
        if at == len(self.keys) or self.keys[at] != wanted:
            return None
        found: npt.NDArray[np.float32] = self.values[at]
        return found


def book_table(table: str, week: int) -> Table:
    """Return a table of the demo store's book: ``chain``, ``store`` or ``plan``.

    Raises:
        FileNotFoundError: no book of that week is committed (see ``BOOK_WEEKS``).
        ValueError: the file holds no table.
    """
    if table == "chain":
        return _chain_table(week)
    return _read_table(_table_path(table, week))


def prices_table() -> Table:
    """Return the products' price habits that the receipt anomaly model reads; weeks 1-40."""
    return _read_table(_PRICES)


def save_prices(table: Table) -> None:
    """Write the price habits compactly."""
    _save(_PRICES, table.meta, keys=table.keys, values=np.asfortranarray(table.values))


def unpack_book(week: int, folder: Path) -> None:
    """Write a book's tables as folders that can be memory-mapped.

    ``folder/<table>/`` gets ``keys.npy`` (sorted bytes), ``values.npy`` (float32, C order)
    and ``table.json`` (the meta data), for chain, store and plan.
    """
    for name in ("chain", "store", "plan"):
        unpack_table(book_table(name, week), folder / name)


def unpack_table(table: Table, folder: Path) -> None:
    """Write one table as a folder; see ``unpack_book``."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "keys.npy", table.keys)
    np.save(folder / "values.npy", table.values)
    text = json.dumps(table.meta, sort_keys=True, indent=1) + "\n"
    (folder / "table.json").write_text(text, encoding="utf-8")


def save_table(week: int, table: Table) -> None:
    """Write a store's or a plan's table compactly; same arrays, same bytes."""
    # Column by column, because like compresses with like.
    values = np.asfortranarray(table.values)
    _save(_table_path(table.meta["table"], week), table.meta, keys=table.keys, values=values)


def save_chain(week: int, table: Table, type_id: Ints) -> None:
    """Write a chain table without its redundancy, exactly.

    What belongs to the item master goes to ``items.npz`` once, what is one number for a
    whole product type or maker x category is kept once for each, and products that never
    sold have no row. ``type_id`` gives each key's product type (-1 = unknown).
    """
    column = dict(zip(table.columns, table.values.T, strict=True))
    mc_id = np.where(np.isnan(column["mc_id"]), -1, column["mc_id"]).astype(np.int32)
    _save(
        _ITEMS,
        {"holds": "the item master: product keys and their groups"},
        keys=table.keys,
        mc_id=mc_id,
        type_id=type_id.astype(np.int32),
        priv=column["priv"].astype(np.int8),
    )
    sold = np.flatnonzero(column["ca_n"] > 0).astype(np.int32)
    product = np.asfortranarray(np.stack([column[n][sold] for n in _OF_PRODUCT], axis=1))
    _save(
        _table_path("chain", week),
        table.meta,
        sold=sold,
        product=product,
        types=_per_group(type_id, column["t1_r"])[0],
        makers=np.stack(_per_group(mc_id, column["m1_n"], column["m1_r"])),
    )


def _chain_table(week: int) -> Table:
    """Put a chain table together again: the arrays ``save_chain`` was given."""
    with np.load(_ITEMS, allow_pickle=False) as items:
        keys, mc_id, type_id = items["keys"], items["mc_id"], items["type_id"]
        private = items["priv"]
    with np.load(_table_path("chain", week), allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"]))
        sold, product = archive["sold"], archive["product"]
        types, makers = archive["types"], archive["makers"]
    values = np.full((len(keys), len(meta["columns"])), np.nan, np.float32)
    at = {name: index for index, name in enumerate(meta["columns"])}
    for name in ("c1_n", "c4_n", "ca_n"):
        values[:, at[name]] = 0
    for index, name in enumerate(_OF_PRODUCT):
        values[sold, at[name]] = product[:, index]
    values[:, at["t1_r"]] = np.where(type_id >= 0, types[type_id], np.nan)
    for index, name in enumerate(("m1_n", "m1_r")):
        values[:, at[name]] = np.where(mc_id >= 0, makers[index][mc_id], np.nan)
    values[:, at["mc_id"]] = np.where(mc_id >= 0, mc_id, np.nan)
    values[:, at["priv"]] = private
    return Table(keys, values, meta)


def _per_group(group: Ints, *columns: Floats) -> list[Floats]:
    """Return each column by group id; every member of a group holds the same number."""
    size = int(group.max()) + 1
    folded = []
    for column in columns:
        values = np.full(size, np.nan, np.float32)
        values[group[group >= 0]] = column[group >= 0]
        folded.append(values)
    return folded


def _read_table(path: Path) -> Table:
    with np.load(path, allow_pickle=False) as archive:
        keys, values = archive["keys"], archive["values"]
        meta = json.loads(str(archive["meta"]))
    if values.shape != (len(keys), len(meta["columns"])):
        raise ValueError(f"{path.name}: {values.shape} values for {len(keys)} keys")
    return Table(keys, np.ascontiguousarray(values, np.float32), meta)


def _table_path(table: str, week: int) -> Path:
    return STORE / "tables" / f"{table}-w{week}.npz"


def _save(path: Path, meta: dict[str, Any], **arrays: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    described = np.array(json.dumps(meta, sort_keys=True))
    # np.savez names no time of its own, so equal arrays give equal files.
    np.savez_compressed(path, allow_pickle=False, **{"meta": described, **arrays})


def read_json(path: Path) -> Any:
    """Read a JSON file, gzipped when its name ends in ``.gz``."""
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people, or compact and gzipped when the name ends in ``.gz``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        text = json.dumps(value, separators=(",", ":"), sort_keys=True)
        path.write_bytes(_gzipped(text))
    else:
        path.write_text(json.dumps(value, indent=2, sort_keys=False) + "\n")


def read_lines(path: Path) -> Iterator[Any]:
    """Yield the values of a gzipped JSON-lines file, in order."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def write_lines(path: Path, values: list[Any]) -> None:
    """Write a gzipped JSON-lines file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values)
    path.write_bytes(_gzipped(text))


def _gzipped(text: str) -> bytes:
    # No time stamp: the same content must give the same bytes.
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)
