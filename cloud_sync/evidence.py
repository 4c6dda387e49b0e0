"""The signed documents of one channel, as received: proved, kept, and given to registers.

Owns one file per channel and use, so that the documents in it always belong together. What
is read back is proved again from the pinned root: the disk is not believed either.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cloud_sync.durable_files import replace_file
from cloud_sync.errors import BundleError
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.trust import (
    Evidence,
    Followed,
    Release,
    VerifySignature,
    delegated,
    pointers,
    remember,
    select,
    trusted_root,
    trusted_targets,
)
from terminal_client.core.trust_memory import Memory, refuse_rollback

_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A release that the ring selects; ``counter`` is its pointer's."""

    release: Release
    counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What documents prove for one channel. ``memory.counter`` is unused: see ``counters``.

    ``signed`` are the digests of every release the channel has signed. ``expires`` is the
    earliest date of the documents used.
    """

    evidence: Evidence
    selected: tuple[Selected, ...]
    signed: frozenset[str]
    memory: Memory
    counters: Mapping[str, int]
    expires: datetime

    @property
    def digests(self) -> frozenset[str]:
        """The digests of every release selected."""
        return frozenset(one.release.digest for one in self.selected)


Seen = tuple[Memory, Mapping[str, int]]
"""The newest versions believed, and the counter of each pointer by name."""
NOTHING_SEEN: Seen = (Memory(), {})


def prove(
    evidence: Evidence,
    ring: str,
    channel: str,
    pinned_root: bytes,
    verify_signature: VerifySignature,
    seen: Seen = NOTHING_SEEN,
) -> Proof:
    """Return every release of ``channel`` that ``ring`` selects, by ``evidence``.

    Raises: TrustError: one of its family; nothing of ``evidence`` may be used.
    """
    root = trusted_root(pinned_root, evidence.roots, verify_signature)
    top = trusted_targets(root, evidence.delegation, verify_signature)
    releases = delegated(top, channel, evidence.release, verify_signature)
    ring_targets = delegated(top, ring, evidence.pointer, verify_signature)
    memory, counters = seen
    followed = Followed(ring=ring, channel=channel)
    reached = remember(root, top, releases, ring_targets, followed, memory)
    refuse_rollback(reached, memory, channel, ring)
    selected = []
    for pointer in pointers(top, ring_targets, ring):
        if pointer.channel == channel:
            before = replace(memory, counter=counters.get(pointer.name, 0))
            refuse_rollback(replace(reached, counter=pointer.counter), before, channel, ring)
            release = select(top, releases, pointer, reached)
            selected.append(Selected(release=release, counter=pointer.counter))
    return Proof(
        evidence=evidence,
        selected=tuple(selected),
        signed=frozenset(f"sha256:{target.sha256}" for target in releases.targets.values()),
        memory=reached,
        counters={one.release.name: one.counter for one in selected},
        expires=min(root.expires, top.expires, releases.expires, ring_targets.expires),
    )


class EvidenceFile:
    """One channel's documents on disk, and when they were last seen in the cloud."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, evidence: Evidence, seen_at: datetime) -> None:
        """Put ``evidence`` on disk, whole."""
        document = {
            "schema": _SCHEMA,
            "seen_at": seen_at.isoformat(),
            "roots": [_text(raw) for raw in evidence.roots],
            "delegation": _text(evidence.delegation),
            "release": _text(evidence.release),
            "pointer": _text(evidence.pointer),
        }
        replace_file(self._path, json.dumps(document).encode())

    def read(self) -> tuple[Evidence, datetime] | None:
        """Return what is on disk; None: nothing is.

        Raises: BundleError: it cannot be read.
        """
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            fields = Fields(json.loads(raw), self._path.name)
            fields.integer("schema", _SCHEMA, _SCHEMA)
            seen_at = datetime.fromisoformat(fields.text("seen_at"))
            longest = len(raw)
            evidence = Evidence(
                roots=tuple(_bytes(text) for text in fields.texts("roots")),
                delegation=_bytes(fields.text("delegation", longest=longest)),
                release=_bytes(fields.text("release", longest=longest)),
                pointer=_bytes(fields.text("pointer", longest=longest)),
            )
            fields.close()
        except (DocumentError, ValueError) as exc:
            raise BundleError(f"{self._path}: {exc}") from exc
        return evidence, seen_at


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
