"""Bundles on disk: whole or absent, and an archive never leads out of its folder."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud_sync.bundle_store import BundleStore
from cloud_sync.errors import BundleError, CloudUnavailableError
from tests.control.bundles import FILES, archive, broken_deflate, encrypted, manifest


def digest(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


async def pieces(*parts: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if then is not None:
        raise then


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "bundles")


async def put(store: BundleStore, raw: bytes) -> str:
    await store.receive(digest(raw), len(raw), pieces(raw))
    return digest(raw)


async def test_a_received_bundle_is_there_byte_for_byte(store: BundleStore) -> None:
    raw = b"abc" * 1000
    await store.receive(digest(raw), len(raw), pieces(raw[:100], raw[100:]))
    assert store.holds(digest(raw), len(raw))
    assert store.read(digest(raw), 1, 3) == (b"bca", 3000)


FAILURES = {
    "too short": (pieces(b"ab"), CloudUnavailableError),
    "too long": (pieces(b"abc", b"d"), CloudUnavailableError),
    "other bytes": (pieces(b"abd"), CloudUnavailableError),
    "broken off": (pieces(b"ab", then=CloudUnavailableError("gone")), CloudUnavailableError),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_a_bundle_that_does_not_arrive_whole_leaves_nothing(
    store: BundleStore, tmp_path: Path, case: str
) -> None:
    source, error = FAILURES[case]
    with pytest.raises(error):
        await store.receive(digest(b"abc"), 3, source)
    assert not store.holds(digest(b"abc"), 3)
    assert list((tmp_path / "bundles").iterdir()) == []


async def test_one_flipped_bit_is_noticed(store: BundleStore) -> None:
    name = await put(store, b"abc")
    store.file(name).write_bytes(b"abb")
    assert not store.holds(name, 3)


async def test_an_archive_is_unpacked_and_checked(store: BundleStore) -> None:
    name = await put(store, archive())
    folder = store.unpack(name)
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *FILES}
    (folder / "chain.keys.npy").write_bytes(b"kfys")
    assert store.unpack(name) == folder
    assert (folder / "chain.keys.npy").read_bytes() == b"keys"


BAD = {
    "no archive": b"abc",
    "no manifest": archive({}, None).replace(b"manifest.json", b"manifess.json"),
    "unreadable manifest": archive(FILES, "x"),
    "parent folder": archive({"../evil": b"x"}, manifest({"../evil": b"x"})),
    "absolute": archive({"/evil": b"x"}, manifest({"/evil": b"x"})),
    "capital": archive({"Evil": b"x"}, manifest({"Evil": b"x"})),
    "not in the manifest": archive({**FILES, "more": b"x"}, manifest()),
    "not in the archive": archive({"chain.keys.npy": b"keys"}, manifest()),
    "another file": archive({**FILES, "chain.keys.npy": b"kfys"}, manifest()),
    "broken deflate": broken_deflate(),
    "encrypted": encrypted(),
    "bzip2": archive(method=zipfile.ZIP_BZIP2),
    "lzma": archive(method=zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
async def test_a_bad_archive_leaves_nothing(store: BundleStore, tmp_path: Path, raw: bytes) -> None:
    name = await put(store, raw)
    with pytest.raises(BundleError):
        store.unpack(name)
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [f"{name[7:]}.bundle"]
    assert not (tmp_path / "evil").exists()


async def test_a_file_named_twice_is_refused(store: BundleStore) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        raw = archive(twice="chain.keys.npy")
    name = await put(store, raw)
    with pytest.raises(BundleError, match="twice"):
        store.unpack(name)


async def test_a_bomb_stops_at_the_limit(
    store: BundleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud_sync.bundle_store.MAX_UNPACKED_BYTES", 10_000)
    files = {"chain.keys.npy": b"\0" * 20_000, "chain.values.npy": b""}
    raw = archive(files)
    name = await put(store, raw)
    with pytest.raises(BundleError, match="more than"):
        store.unpack(name)


async def test_what_is_not_kept_goes_and_what_is_arriving_stays(
    store: BundleStore, tmp_path: Path
) -> None:
    old, new = await put(store, b"old"), await put(store, archive())
    store.unpack(new)
    arriving = tmp_path / "bundles" / f".{hashlib.sha256(b'next').hexdigest()}.bundle.new"
    arriving.write_bytes(b"ne")
    leftover = tmp_path / "bundles" / f".{hashlib.sha256(b'gone').hexdigest()}.bundle.new"
    leftover.write_bytes(b"go")
    store.keep([new, digest(b"next")])
    assert not store.file(old).exists()
    assert store.file(new).exists()
    assert store.unpacked(new).is_dir()
    assert arriving.exists()
    assert not leftover.exists()


def test_only_a_digest_names_a_bundle(store: BundleStore) -> None:
    with pytest.raises(BundleError, match="is no digest"):
        store.file("sha256:../../../etc/passwd")
