"""Feature tables: memory-mapped, read-only, looked up for a whole basket at once.

Owns loading a features bundle and finding rows by item id. Refuses to copy: keys and values
stay in the page cache, shared with whoever else maps the file. Integrity is control's
business (every file's SHA-256 before staging); shape and order are checked here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from terminal_client.core.manifest import FeaturesManifest, TableManifest, read_manifest
from terminal_client.core.reading import DocumentError

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """One table: ``values[i]`` belongs to item ``keys[i]``; keys ascend.

    ``identity`` is the bundle's digest and the table's entry in it.
    """

    manifest: TableManifest
    identity: str
    keys: npt.NDArray[np.bytes_]
    values: Floats

    def find(self, item_ids: Sequence[bytes]) -> tuple[Places, npt.NDArray[np.bool_]]:
        """Return each item's row, and whether the table lists it (else the row is 0)."""
        width = self.keys.dtype.itemsize
        # A longer id cannot be listed, and would widen (copy) the whole key column below.
        wanted = np.array([i if len(i) <= width else b"" for i in item_ids], self.keys.dtype)
        places = np.searchsorted(self.keys, wanted)
        places[places == len(self.keys)] = 0
        found = (self.keys[places] == wanted) & (wanted != b"")
        places[~found] = 0
        return places, found

    def column(self, name: str) -> int:
        """Return the place of column ``name``; raises KeyError."""
        try:
            return self.manifest.columns.index(name)
        except ValueError:
            raise KeyError(name) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureBundle:
    """A loaded features bundle."""

    manifest: FeaturesManifest
    digest: str
    tables: tuple[FeatureTable, ...]

    @classmethod
    def load(cls, folder: Path, digest: str) -> FeatureBundle:
        """Map the tables of the bundle that control unpacked to ``folder``.

        Raises:
            DocumentError: the manifest or a table does not keep the contract.
            OSError: a file cannot be read.
        """
        manifest = load_manifest(folder)
        if not isinstance(manifest, FeaturesManifest):
            raise DocumentError("manifest.kind", "is not features", "stage it as what it is")
        return cls(
            manifest=manifest,
            digest=digest,
            tables=tuple(
                _load_table(folder, entry, table, digest)
                for entry, table in manifest.tables.items()
            ),
        )


class TableSet:
    """The active tables of every features bundle, by name and date."""

    def __init__(self, bundles: Iterable[FeatureBundle] = ()) -> None:
        """Later bundles win where two serve the same table on the same date."""
        self.bundles = tuple(bundles)
        self._by_name: dict[str, list[tuple[FeatureTable, FeatureBundle]]] = {}
        for bundle in self.bundles:
            for table in bundle.tables:
                self._by_name.setdefault(table.manifest.table, []).insert(0, (table, bundle))

    def on(self, name: str, date: int) -> tuple[FeatureTable, FeatureBundle] | None:
        """Return the table ``name`` that holds on ``date`` (yyyymmdd), and its bundle."""
        for table, bundle in self._by_name.get(name, ()):
            if table.manifest.valid_on(date):
                return table, bundle
        return None


def load_manifest(folder: Path) -> object:
    """Return the manifest in ``folder``; raises DocumentError, OSError."""
    try:
        value = json.loads((folder / "manifest.json").read_bytes())
    except (ValueError, RecursionError) as exc:
        raise DocumentError("manifest", "is not JSON", "publish the bundle again") from exc
    return read_manifest(value)


def _load_table(folder: Path, entry: str, manifest: TableManifest, digest: str) -> FeatureTable:
    path = f"manifest.tables.{entry}"
    keys, values = _map(folder, manifest.keys, path), _map(folder, manifest.values, path)
    if keys.dtype.kind != "S" or keys.ndim != 1 or keys.dtype.itemsize > 64:
        raise DocumentError(f"{path}.keys", f"are {keys.dtype}", "store a 1-d 'S<n>' array")
    if bool(np.any(keys[1:] <= keys[:-1])):
        raise DocumentError(f"{path}.keys", "do not ascend", "sort them, each once")
    if values.dtype != np.float32 or values.shape != (len(keys), len(manifest.columns)):
        raise DocumentError(
            f"{path}.values",
            f"are {values.dtype} {values.shape}",
            f"store float32 {(len(keys), len(manifest.columns))}",
        )
    return FeatureTable(manifest=manifest, identity=f"{digest}/{entry}", keys=keys, values=values)


def _map(folder: Path, name: str, path: str) -> npt.NDArray[Any]:
    try:
        array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    except ValueError as exc:
        raise DocumentError(path, f"{name} is no array file", "write it with numpy.save") from exc
    # A plain view: np.memmap's own indexing costs microseconds per call.
    return cast("npt.NDArray[Any]", array.view(np.ndarray))
