"""The trust check: from a pinned root to one release, by signatures alone.

One verifier for registers and for the box's mirror: documents in, ``Trusted`` out. It is a
pure function: whoever calls it brings the cryptography (``VerifySignature``), the bytes and
what was believed before (``Memory``), and keeps what comes out. Expiry is returned as a fact
and refuses nothing: a store that is offline, or whose clock is wrong, keeps its rules, and
their age says what they are worth.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.trust_errors import (
    DigestError,
    RootChainError,
    SelectionError,
    SignatureError,
)
from terminal_client.core.trust_memory import (
    NO_FLOOR,
    Memory,
    Signers,
    highest_floors,
    refuse_rollback,
)
from terminal_client.core.trust_metadata import (
    Envelope,
    PublicKey,
    RoleKeys,
    Root,
    Target,
    Targets,
    read_envelope,
    read_root,
    read_targets,
)
from terminal_client.core.versions import precedence

LONGEST_ROOT_CHAIN = 1_024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


class VerifySignature(Protocol):
    """The one thing the walk cannot do itself."""

    def __call__(self, key: PublicKey, signature: bytes, message: bytes) -> bool:
        """Tell whether ``key`` made ``signature`` over ``message``; never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The documents, byte for byte as signed. ``roots``: all after the pinned one, in order."""

    roots: tuple[bytes, ...]
    delegation: bytes
    release: bytes
    pointer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What this machine follows: a ring's pointer to a bundle of a channel.

    An empty ``name`` follows the one bundle that the ring selects in the channel.
    """

    ring: str
    channel: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A bundle that the channel's key signed. ``digest`` is ``sha256:`` and 64 digits."""

    channel: str
    name: str
    version: str
    kind: str
    digest: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What a ring selects; ``counter`` grows with every promotion and every rollback."""

    channel: str
    name: str
    version: str
    digest: str
    counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """A release to be believed, and what to remember once it is in use."""

    release: Release
    counter: int
    memory: Memory
    expires: Mapping[str, datetime]

    def expired(self, now: datetime) -> tuple[str, ...]:
        """Return the roles whose documents are past their date at ``now``, sorted."""
        return tuple(sorted(role for role, expires in self.expires.items() if expires <= now))


def verify(
    evidence: Evidence,
    followed: Followed,
    pinned_root: bytes,
    memory: Memory,
    verify_signature: VerifySignature,
) -> Trusted:
    """Return the release that ``evidence`` proves for ``followed``.

    Raises:
        TrustError: one of its family; nothing of ``evidence`` may be used.
    """
    root = trusted_root(pinned_root, evidence.roots, verify_signature)
    delegation = trusted_targets(root, evidence.delegation, verify_signature)
    channel = delegated(delegation, followed.channel, evidence.release, verify_signature)
    ring = delegated(delegation, followed.ring, evidence.pointer, verify_signature)
    pointer = _followed_pointer(delegation, ring, followed)
    reached = replace(
        remember(root, delegation, channel, ring, followed, memory), counter=pointer.counter
    )
    refuse_rollback(reached, memory, followed.channel, followed.ring)
    return Trusted(
        release=select(delegation, channel, pointer, reached),
        counter=pointer.counter,
        memory=reached,
        expires={
            "root": root.expires,
            "targets": delegation.expires,
            followed.channel: channel.expires,
            followed.ring: ring.expires,
        },
    )


def trusted_root(pinned: bytes, newer: Sequence[bytes], verify_signature: VerifySignature) -> Root:
    """Return the last root of the chain that starts at ``pinned``.

    Each root is signed as it says itself and as the one before it says.

    Raises: MetadataError, SignatureError, RootChainError.
    """
    if len(newer) > LONGEST_ROOT_CHAIN:
        raise RootChainError("root", f"has {len(newer)} successors")
    envelope = read_envelope(pinned, "root", "root")
    root = read_root(envelope)
    _require_threshold(envelope, root.roles["root"], verify_signature)
    for raw in newer:
        envelope = read_envelope(raw, "root", "root")
        if envelope.version != root.version + 1:
            raise RootChainError("root", f"{envelope.version} does not follow {root.version}")
        successor = read_root(envelope)
        _require_threshold(envelope, root.roles["root"], verify_signature)
        _require_threshold(envelope, successor.roles["root"], verify_signature)
        root = successor
    return root


def trusted_targets(root: Root, raw: bytes, verify_signature: VerifySignature) -> Targets:
    """Return the top-level targets. Raises: MetadataError, SignatureError."""
    envelope = read_envelope(raw, "targets", "targets")
    _require_threshold(envelope, root.roles["targets"], verify_signature)
    return read_targets(envelope, "targets")


def delegated(
    delegation: Targets, role: str, raw: bytes, verify_signature: VerifySignature
) -> Targets:
    """Return the document of ``role``, a channel or a ring that ``delegation`` names.

    Raises: MetadataError, SignatureError; SelectionError: there is no such role.
    """
    if role not in delegation.delegations:
        raise SelectionError("targets", f"delegates to no {role!r:.64}")
    envelope = read_envelope(raw, role, "targets")
    _require_threshold(envelope, delegation.delegations[role].signers, verify_signature)
    return read_targets(envelope, role)


def remember(
    root: Root,
    delegation: Targets,
    channel: Targets,
    ring: Targets,
    followed: Followed,
    before: Memory,
) -> Memory:
    """Return what these documents leave to remember after ``before``; ``counter`` stays 0.

    Raises: SelectionError: a floor in ``channel`` is no version.
    """
    roles = {
        "targets": root.roles["targets"],
        followed.channel: delegation.delegations[followed.channel].signers,
        followed.ring: delegation.delegations[followed.ring].signers,
    }
    return Memory(
        root_version=root.version,
        delegation_version=delegation.version,
        release_version=channel.version,
        pointer_version=ring.version,
        signers={name: _signers(role) for name, role in roles.items()},
        floors=highest_floors(before.floors, *_floors(channel, followed.channel)),
    )


def pointers(delegation: Targets, ring: Targets, name: str) -> tuple[Pointer, ...]:
    """Return everything that the ring ``name`` selects, by path.

    A target outside the paths that were delegated to the ring is not one of its pointers.

    Raises: SelectionError: a pointer cannot be read.
    """
    prefix = f"rings/{name}/"
    own = delegation.delegations[name]
    return tuple(
        _read_pointer(target, name)
        for path, target in sorted(ring.targets.items())
        if path.startswith(prefix) and own.covers(path)
    )


def select(delegation: Targets, channel: Targets, pointer: Pointer, memory: Memory) -> Release:
    """Return the release that ``pointer`` selects among those in ``channel``.

    ``memory`` is what ``remember`` returned: it holds the floors.

    Raises:
        SelectionError: the channel has not signed it, it is another file than the ring
            means, or it is below a floor that the channel has ever signed.
    """
    role = pointer.channel
    path = f"{role}/{pointer.name}/{pointer.version}.bundle"
    target = channel.targets.get(path)
    if target is None or not delegation.delegations[role].covers(path):
        raise SelectionError(role, f"has not signed {path}")
    if f"sha256:{target.sha256}" != pointer.digest:
        raise SelectionError(role, f"has signed other bytes as {path}")
    floor = memory.floor(pointer.name)
    if precedence(pointer.version) < precedence(floor):
        raise SelectionError(role, f"has withdrawn {path}: the floor is {floor}")
    try:
        kind = Fields(target.custom, path).text("kind", longest=32)
    except DocumentError as error:
        raise SelectionError(role, str(error)) from error
    return Release(
        channel=role,
        name=pointer.name,
        version=pointer.version,
        kind=kind,
        digest=pointer.digest,
        length=target.length,
    )


def check_bundle(release: Release, raw: bytes) -> None:
    """Raise DigestError unless ``raw`` is the release, byte for byte."""
    if len(raw) != release.length:
        raise DigestError(release.name, f"has {len(raw)} bytes, not {release.length}")
    if f"sha256:{hashlib.sha256(raw).hexdigest()}" != release.digest:
        raise DigestError(release.name, "does not have its digest")


def _require_threshold(
    envelope: Envelope, role: RoleKeys, verify_signature: VerifySignature
) -> None:
    # Counted by the key itself, not by its name or spelling: one key under two names is one
    # signer, and one that signed twice has signed once.
    by_id = {key.keyid: key for key in role.keys}
    valid = {
        by_id[keyid].decoded
        for keyid, signature in envelope.signatures
        if keyid in by_id and verify_signature(by_id[keyid], signature, envelope.signed)
    }
    if len(valid) < role.threshold:
        raise SignatureError(role.name, len(valid), role.threshold)


def _followed_pointer(delegation: Targets, ring: Targets, followed: Followed) -> Pointer:
    found = [
        pointer
        for pointer in pointers(delegation, ring, followed.ring)
        if pointer.channel == followed.channel and followed.name in ("", pointer.name)
    ]
    if len(found) != 1:
        wanted = f"{followed.channel}/{followed.name or '*'}"
        raise SelectionError(followed.ring, f"has {len(found)} pointers for {wanted}, not 1")
    return found[0]


def _read_pointer(target: Target, ring: str) -> Pointer:
    parts = target.path.removesuffix(".json").split("/")
    try:
        custom = Fields(target.custom, target.path)
        pointer = Pointer(
            channel=parts[2],
            name=parts[-1],
            version=custom.text("version", longest=64),
            digest=custom.text("digest", longest=71),
            counter=custom.integer("counter", 1, 2**53 - 1),
        )
        precedence(pointer.version)
    except ValueError as error:
        raise SelectionError(ring, str(error)) from error
    well_named = len(parts) == 4 and _NAME.match(pointer.channel) and _NAME.match(pointer.name)
    if not well_named or not _DIGEST.match(pointer.digest):
        raise SelectionError(ring, f"has the malformed pointer {target.path!r:.120}")
    return pointer


def _signers(role: RoleKeys) -> Signers:
    decoded = (key.decoded for key in role.keys)
    return Signers(
        keys=frozenset(key.hex() for key in decoded if key is not None),
        threshold=role.threshold,
    )


def _floors(channel: Targets, role: str) -> Iterator[Mapping[str, str]]:
    """Yield the floor that each release declares for its name."""
    for path, target in channel.targets.items():
        parts = path.split("/")
        if len(parts) == 3 and parts[0] == role:
            try:
                floor = Fields(target.custom, path).text("floor", NO_FLOOR, 64)
                precedence(floor)
            except ValueError as error:
                raise SelectionError(role, str(error)) from error
            yield {parts[1]: floor}
