"""Bundles on disk by their digest: ``<sha256>.bundle`` as signed, ``<sha256>/`` unpacked.

Owns writing them whole or not at all, and unpacking them safely. A name in an archive can
never lead out of its folder; nothing larger than the manifest's files is written. Refuses
to know which bundle is in use: whoever does says what to ``keep``.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from cloud_sync.durable_files import settle, sync_folder
from cloud_sync.errors import BundleError, CloudUnavailableError
from terminal_client.core.manifest import read_manifest
from terminal_client.core.reading import DocumentError

MAX_UNPACKED_BYTES = 4 * 1024**3
MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 8 * 1024 * 1024
_FILE = re.compile(r"[a-z0-9_][a-z0-9._-]*(/[a-z0-9_][a-z0-9._-]*)*\Z")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")
_PIECE = 1024 * 1024
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
# What zipfile lets through of the damage it meets: RuntimeError is an encrypted entry.
_BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ValueError,
    KeyError,
    RuntimeError,
    EOFError,
)


class BundleStore:
    """A folder of bundles. Blocking: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, digest: str) -> Path:
        """Return where the bundle's own bytes lie or would lie."""
        return self._folder / f"{_sha256(digest)}.bundle"

    def unpacked(self, digest: str) -> Path:
        """Return where the bundle lies unpacked or would lie."""
        return self._folder / _sha256(digest)

    def holds(self, digest: str, length: int) -> bool:
        """Tell whether the bundle is here, byte for byte (it is read whole)."""
        path = self.file(digest)
        try:
            if path.stat().st_size != length:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == _sha256(digest)
        except OSError:
            return False

    def read(self, digest: str, offset: int, most: int) -> tuple[bytes, int]:
        """Return at most ``most`` bytes from ``offset``, and the size of the whole.

        Raises: FileNotFoundError: it is not here.
        """
        with self.file(digest).open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            file.seek(offset)
            return file.read(most), size_bytes

    async def receive(self, digest: str, length: int, pieces: AsyncIterator[bytes]) -> None:
        """Write a bundle from ``pieces``; it appears whole or not at all.

        Raises: CloudUnavailableError: the bytes are not the ones signed: broken off, or changed
            on the way.
        """
        path = self.file(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        hashed, left = hashlib.sha256(), length
        try:
            with temporary.open("wb") as file:
                async for piece in pieces:
                    left -= len(piece)
                    if left < 0:
                        raise CloudUnavailableError(f"{digest} has more than {length} bytes")
                    hashed.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            if left or hashed.hexdigest() != _sha256(digest):
                raise CloudUnavailableError(f"{digest}: the bytes received are not the signed ones")
            settle(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def unpack(self, digest: str) -> Path:
        """Unpack an archive that is here, every file checked; return its folder.

        What is unpacked already is read again and compared: flipped bits are unpacked anew.

        Raises: BundleError: it is no such archive, or not what its manifest says.
        """
        folder = self.unpacked(digest)
        if _unharmed(folder):
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        temporary = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            with zipfile.ZipFile(self.file(digest)) as archive:
                _extract(archive, temporary)
        except _BROKEN_ARCHIVE as exc:
            shutil.rmtree(temporary, ignore_errors=True)
            raise BundleError(f"{digest}: {exc}") from exc
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        settle(temporary, folder)
        return folder

    def keep(self, digests: Iterable[str]) -> None:
        """Delete every bundle not among ``digests``, and what an interrupted write left."""
        kept = {_sha256(digest) for digest in digests}
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            # A bundle that is just arriving has the name it will get, between "." and ".new".
            if path.name.lstrip(".").removesuffix(".new").removesuffix(".bundle") in kept:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _unharmed(folder: Path) -> bool:
    """Tell whether every file of an unpacked bundle still is what its manifest means."""
    try:
        files = _read_files((folder / MANIFEST).read_bytes())
        for name, sha256 in files.items():
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                return False
    except (OSError, BundleError):
        return False
    return True


def _extract(archive: zipfile.ZipFile, folder: Path) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    for entry in entries:
        if entry.compress_type not in _METHODS or entry.flag_bits & _ENCRYPTED:
            raise BundleError(f"{entry.filename!r:.100} is neither stored nor deflated")
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise BundleError("the archive names a file twice")
    files = _manifest_files(archive)
    if set(names) != {MANIFEST, *files}:
        odd = sorted(set(names) ^ {MANIFEST, *files})[0]
        raise BundleError(f"{odd!r:.100} is in only one of archive and manifest")
    left_bytes = MAX_UNPACKED_BYTES
    folder.mkdir(parents=True)
    for name in names:
        if not _FILE.match(name):
            raise BundleError(f"{name!r:.100} is no name for a file in a bundle")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        sha256, size_bytes = _write(archive, name, target, left_bytes)
        left_bytes -= size_bytes
        if name != MANIFEST and sha256 != files[name]:
            raise BundleError(f"{name} is not the file its manifest means")
    for inner in sorted(path for path in folder.rglob("*") if path.is_dir()):
        sync_folder(inner)
    sync_folder(folder)


def _manifest_files(archive: zipfile.ZipFile) -> dict[str, str]:
    try:
        entry = archive.getinfo(MANIFEST)
    except KeyError as exc:
        raise BundleError(f"the archive has no {MANIFEST}") from exc
    if entry.file_size > _MAX_MANIFEST_BYTES:
        raise BundleError(f"{MANIFEST} has {entry.file_size} bytes")
    return _read_files(archive.read(entry))


def _read_files(manifest: bytes) -> dict[str, str]:
    try:
        files = read_manifest(json.loads(manifest)).files
    except (DocumentError, ValueError, RecursionError) as exc:
        raise BundleError(str(exc)) from exc
    return {name: sha256.removeprefix("sha256:") for name, sha256 in files.items()}


def _write(archive: zipfile.ZipFile, name: str, target: Path, left_bytes: int) -> tuple[str, int]:
    """Unpack one file; the size is counted as it comes, not believed."""
    hashed, size_bytes = hashlib.sha256(), 0
    with archive.open(name) as source, target.open("xb") as file:
        while piece := source.read(_PIECE):
            size_bytes += len(piece)
            if size_bytes > left_bytes:
                raise BundleError(f"the archive unpacks to more than {MAX_UNPACKED_BYTES} bytes")
            hashed.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return hashed.hexdigest(), size_bytes


def _sha256(digest: str) -> str:
    match = _DIGEST.match(digest)
    if match is None:
        raise BundleError(f"{digest!r:.80} is no digest")
    return match[1]
