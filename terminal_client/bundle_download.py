"""Fetching a bundle from the box in pieces; what was fetched survives a lost connection."""

from __future__ import annotations

import time
import zlib
from pathlib import Path

import grpc

from posgate.v1 import bundle_pb2, bundle_pb2_grpc
from terminal_client.core.trust import Release

PIECE_BYTES = 256 * 1024
_MOST_BAD_PIECES = 3
_LONGEST_S = 60.0


class DownloadError(Exception):
    """The box sent something else than pieces of this bundle."""


def download(
    control: grpc.Channel, release: Release, partial: Path, timeout_s: float
) -> bytes | None:
    """Return the release's bytes, or None after a minute: call again to go on.

    ``partial`` holds what is there; it goes on where the last call ended. Nothing is verified
    here but the pieces' checksums and the size: the digest is for who installs it.

    Raises:
        grpc.RpcError: the box does not answer, or has no such bundle.
        DownloadError: sizes or checksums are wrong; ``partial`` is gone.
        OSError: the disk refuses.
    """
    stub = bundle_pb2_grpc.BundleServiceStub(control)
    until = time.monotonic() + _LONGEST_S
    bad_count = 0
    with partial.open("ab") as file:
        while (offset := file.tell()) < release.length:
            if time.monotonic() >= until:
                return None
            answer = stub.GetBundle(
                bundle_pb2.GetBundleRequest(
                    digest=release.digest, offset=offset, max_bytes=PIECE_BYTES
                ),
                timeout=timeout_s,
            )
            if _fits(answer, release, offset):
                file.write(answer.chunk)
                continue
            bad_count += 1
            if bad_count >= _MOST_BAD_PIECES:
                partial.unlink(missing_ok=True)
                raise DownloadError(f"{release.name} {release.version} comes in broken pieces")
    return partial.read_bytes()


def _fits(answer: bundle_pb2.GetBundleResponse, release: Release, offset: int) -> bool:
    return (
        0 < len(answer.chunk) <= release.length - offset
        and answer.total_bytes == release.length
        and answer.chunk_crc32 == zlib.crc32(answer.chunk)
    )
