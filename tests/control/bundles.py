"""Feature and model bundles as archives: what a publisher uploads."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

FILES = {"chain.keys.npy": b"keys", "chain.values.npy": b"values"}


def manifest(files: Mapping[str, bytes] = FILES, **changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "schema": 1,
        "kind": "features",
        "name": "book",
        "version": "1.0.0",
        "as_of": "2026-03-01T00:00:00+00:00",
        "files": {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()},
        "tables": {
            "chain": {
                "keys": "chain.keys.npy",
                "values": "chain.values.npy",
                "columns": ["price_minor"],
            }
        },
    }
    return document | changes


def archive(
    files: Mapping[str, bytes] = FILES,
    document: object = None,
    *,
    twice: str = "",
    method: int = zipfile.ZIP_STORED,
) -> bytes:
    """Return an archive; ``document`` replaces the fitting manifest."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", method) as packed:
        whole = manifest(files) if document is None else document
        packed.writestr("manifest.json", json.dumps(whole))
        for name, content in files.items():
            packed.writestr(name, content)
        if twice:
            packed.writestr(twice, b"again")
    return raw.getvalue()


def broken_deflate() -> bytes:
    """Return an archive whose manifest is no deflate stream."""
    raw = bytearray(archive(method=zipfile.ZIP_DEFLATED))
    start = 30 + len("manifest.json")
    raw[start : start + 2] = b"\xff\xff"
    return bytes(raw)


def encrypted() -> bytes:
    """Return an archive that says its manifest is encrypted."""
    raw = bytearray(archive())
    raw[6] |= 1
    raw[raw.find(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)
