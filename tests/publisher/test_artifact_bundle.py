"""A model or features bundle is one a box would take, byte for byte the same each time."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from cloud_sync.publisher.artifact_bundle import MANIFEST, build_artifact
from terminal_client.core.reading import DocumentError

FILES = {"book.keys.npy": b"keys", "book.values.npy": b"values"}
TABLE = {"keys": "book.keys.npy", "values": "book.values.npy", "columns": ["c1"]}
FEATURES: dict[str, Any] = {
    "schema": 1,
    "kind": "features",
    "name": "book",
    "version": "1.0.0",
    "as_of": "2017-11-27T05:00:00+00:00",
    "tables": {"chain": TABLE},
}


def test_the_manifest_lists_every_file_with_its_digest() -> None:
    with zipfile.ZipFile(io.BytesIO(build_artifact(FEATURES, FILES))) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        assert manifest["files"] == {
            name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()
        }
        assert {name: archive.read(name) for name in FILES} == FILES


def test_the_same_manifest_and_files_give_the_same_bytes() -> None:
    assert build_artifact(FEATURES, FILES) == build_artifact(
        dict(reversed(FEATURES.items())), dict(reversed(FILES.items()))
    )


@pytest.mark.parametrize(
    ("change", "files", "path"),
    [
        ({"version": "one"}, FILES, "manifest.version"),
        ({"surprise": 1}, FILES, "manifest.surprise"),
        ({}, {"book.keys.npy": b""}, "manifest.tables.chain.values"),
        ({}, {**FILES, "../up": b""}, "manifest.files.../up"),
    ],
    ids=["version", "unknown key", "missing file", "a way out"],
)
def test_what_a_box_would_refuse_is_never_built(
    change: dict[str, object], files: dict[str, bytes], path: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        build_artifact({**FEATURES, **change}, files)
    assert caught.value.path == path
