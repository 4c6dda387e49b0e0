"""The signed tree: what a folder, a bucket or a CDN serves to every store.

Owns the layout and its signing with python-tuf's metadata::

    metadata/<N>.root.json            2 of 3 offline keys; every version stays
    metadata/targets.json             2 of 3 offline keys: delegates to channels and rings
    metadata/<channel>.json           models, rules, features: the releases
    metadata/<ring>.json              lab, one-store, region, fleet: what each ring runs
    metadata/snapshot.json, timestamp.json
    targets/<sha256>.bundle           the releases' bytes
    targets/rings/<ring>/<channel>/<name>.json

A ring's pointer has a counter that only grows: rolling back is promoting an older version.
Every file is replaced atomically and after what it names, so that a reader in the middle of a
publication finds an older whole. One writer at a time. The same calls at the same times with
the same keys give the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from cloud_sync.durable_files import replace_file
from cloud_sync.publisher.keys import (
    OFFLINE_KEY_COUNT,
    OFFLINE_ROLES,
    OFFLINE_THRESHOLD,
    KeyFolder,
    MissingKeyError,
)
from cloud_sync.publisher.tree_roles import delegations, expiry, first_root
from terminal_client.core import canonical_json
from terminal_client.core.versions import precedence

CHANNELS = ("models", "rules", "features")
RINGS = ("lab", "one-store", "region", "fleet")
KINDS = {"models": "model", "rules": "rules", "features": "features"}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_SERIALIZER = JSONSerializer(compact=False)

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


class RepositoryError(Exception):
    """The tree cannot take what was asked; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One tree and the folder of its keys."""

    path: Path
    keys: KeyFolder

    @classmethod
    def init(
        cls,
        path: Path,
        keys: Path,
        *,
        now: datetime,
        channels: Sequence[str] = CHANNELS,
        rings: Sequence[str] = RINGS,
    ) -> Self:
        """Make a tree without releases at ``path`` and its keys in the folder ``keys``.

        Raises: FileExistsError: one of them is there already.
        """
        repository = cls(path=path, keys=KeyFolder(path=keys))
        if repository._metadata.exists():
            raise FileExistsError(f"{path} holds a tree already")
        online = ("snapshot", "timestamp", *channels, *rings)
        repository.keys.create(
            dict.fromkeys(OFFLINE_ROLES, OFFLINE_KEY_COUNT) | dict.fromkeys(online, 1)
        )
        repository._write(Metadata(first_root(repository.keys, now)), "root")
        repository._write(Metadata(delegations(repository.keys, channels, rings, now)), "targets")
        for role in (*channels, *rings):
            repository._write(Metadata(Targets(expires=expiry(role, now))), role)
        repository._stamp(now)
        return repository

    @classmethod
    def open(cls, path: Path, keys: Path) -> Self:
        """Return the tree at ``path``. Raises: RepositoryError: there is none."""
        repository = cls(path=path, keys=KeyFolder(path=keys))
        if not repository._file("targets").exists():
            raise RepositoryError(f"{path} holds no tree; make one with init")
        return repository

    @property
    def root(self) -> bytes:
        """The newest root's bytes: what a machine is given to pin."""
        return self._root_file(self._root_version()).read_bytes()

    def publish(
        self,
        channel: str,
        name: str,
        version: str,
        bundle: bytes,
        as_of: datetime,
        *,
        now: datetime,
        floor: str | None = None,
    ) -> str:
        """Sign ``bundle`` as a release and return its digest. Nothing runs it yet: ``promote``.

        ``floor`` withdraws every release of ``name`` below it. Publishing the same bytes
        again changes nothing.

        Raises: RepositoryError: the name is malformed, or the version has other bytes.
        """
        _check_name(name, version)
        document = self._delegated(channel)
        path = _release_path(channel, name, version)
        sha256 = hashlib.sha256(bundle).hexdigest()
        custom: dict[str, str] = {
            "kind": KINDS.get(channel, channel),
            "name": name,
            "version": version,
            "as_of": as_of.astimezone(UTC).isoformat(),
        }
        if floor is not None:
            custom["floor"] = _checked_floor(floor, version)
        target = _target(path, bundle, custom)
        before = document.signed.targets.get(path)
        if before is not None and before.hashes != target.hashes:
            raise RepositoryError(f"{path} has other bytes: give the new ones a new version")
        if before == target:
            return f"sha256:{sha256}"
        replace_file(self.path / "targets" / f"{sha256}.bundle", bundle)
        document.signed.targets[path] = target
        self._renew(document, channel, now)
        return f"sha256:{sha256}"

    def raise_floor(
        self, channel: str, name: str, version: str, floor: str, *, now: datetime
    ) -> None:
        """Withdraw every release of ``name`` below ``floor``, in the release ``version``.

        Raises: RepositoryError: there is no such release, or it is below the floor itself.
        """
        document = self._delegated(channel)
        target = document.signed.targets.get(_release_path(channel, name, version))
        if target is None:
            raise RepositoryError(f"{channel}/{name}/{version} is not published")
        target.unrecognized_fields["custom"]["floor"] = _checked_floor(floor, version)
        self._renew(document, channel, now)

    def promote(self, ring: str, channel: str, name: str, version: str, *, now: datetime) -> int:
        """Let ``ring`` run a published release; return the pointer's new counter.

        Rolling back is promoting the older version.

        Raises: RepositoryError: the release is not published.
        """
        release = self._delegated(channel).signed.targets.get(_release_path(channel, name, version))
        if release is None:
            raise RepositoryError(f"{channel}/{name}/{version} is not published")
        document = self._delegated(ring)
        path = f"rings/{ring}/{channel}/{name}.json"
        before = document.signed.targets.get(path)
        counter = 1 + (before.custom["counter"] if before is not None else 0)
        custom: Mapping[str, str | int] = {
            "counter": counter,
            "digest": f"sha256:{release.hashes['sha256']}",
            "version": version,
        }
        content = canonical_json.encode(custom)
        replace_file(self.path / "targets" / path, content)
        document.signed.targets[path] = _target(path, content, custom)
        self._renew(document, ring, now)
        return counter

    def rotate_root_key(self, *, now: datetime) -> int:
        """Replace the oldest root key by a new one; return the new root's version.

        The new root is signed by the old keys and by the new ones, so that every machine
        that knows the old root follows.
        """
        document = Metadata[Root].from_bytes(self.root)
        outgoing = self.keys.signers("root")
        if len(outgoing) < OFFLINE_THRESHOLD:
            raise MissingKeyError("root", self.keys.path, len(outgoing), OFFLINE_THRESHOLD)
        oldest = outgoing[0].public_key.keyid
        document.signed.revoke_key(oldest, "root")
        document.signed.add_key(self.keys.add("root").public_key, "root")
        document.signed.version += 1
        document.signed.expires = expiry("root", now)
        document.signatures.clear()
        for signer in (*outgoing, *self.keys.signers("root")):
            document.sign(signer, append=True)
        replace_file(self._root_file(document.signed.version), document.to_bytes(_SERIALIZER))
        self.keys.remove(oldest, "root")
        return document.signed.version

    def replace_keys(self, role: str, *, now: datetime) -> None:
        """Give a channel or ring a new key instead of those it has.

        The way out when a key was stolen: machines that have believed what the thief signed
        let the role's numbers start again.

        Raises: RepositoryError: there is no such role.
        """
        document = self._delegated(role)
        top = Metadata[Targets].from_file(str(self._file("targets")))
        delegations = top.signed.delegations
        assert delegations is not None
        assert delegations.roles is not None
        outgoing = tuple(delegations.roles[role].keyids)
        signer = self.keys.add(role)
        top.signed.add_key(signer.public_key, role)
        for keyid in outgoing:
            top.signed.revoke_key(keyid, role)
        top.signed.version += 1
        top.signed.expires = expiry("targets", now)
        self._write(top, "targets")
        for keyid in outgoing:
            self.keys.remove(keyid, role)
        self._renew(document, role, now)

    @property
    def _metadata(self) -> Path:
        return self.path / "metadata"

    def _file(self, role: str) -> Path:
        return self._metadata / f"{role}.json"

    def _root_file(self, version: int) -> Path:
        return self._metadata / f"{version}.root.json"

    def _root_version(self) -> int:
        return max(int(path.name.split(".")[0]) for path in self._metadata.glob("*.root.json"))

    def _delegated(self, role: str) -> Metadata[Targets]:
        top = Metadata[Targets].from_file(str(self._file("targets"))).signed
        if role not in _delegated_roles(top):
            raise RepositoryError(f"the tree has no channel or ring {role!r}")
        return Metadata[Targets].from_file(str(self._file(role)))

    def _renew(self, document: Metadata[Targets], role: str, now: datetime) -> None:
        document.signed.version += 1
        document.signed.expires = expiry(role, now)
        self._write(document, role)
        self._stamp(now)

    def _stamp(self, now: datetime) -> None:
        """Sign which versions belong together, and that this is the newest."""
        top = Metadata[Targets].from_file(str(self._file("targets"))).signed
        roles = ("targets", *_delegated_roles(top))
        meta = {
            f"{role}.json": MetaFile(
                Metadata[Targets].from_file(str(self._file(role))).signed.version
            )
            for role in roles
        }
        version = 1
        if self._file("snapshot").exists():
            version += Metadata[Snapshot].from_file(str(self._file("snapshot"))).signed.version
        snapshot = Snapshot(version=version, expires=expiry("snapshot", now), meta=meta)
        self._write(Metadata(snapshot), "snapshot")
        timestamp = Timestamp(
            version=version,
            expires=expiry("timestamp", now),
            snapshot_meta=MetaFile(version),
        )
        self._write(Metadata(timestamp), "timestamp")

    def _write(self, document: Metadata[S], role: str) -> None:
        signers = self.keys.signers(role)
        threshold = OFFLINE_THRESHOLD if role in OFFLINE_ROLES else 1
        if len(signers) < threshold:
            raise MissingKeyError(role, self.keys.path, len(signers), threshold)
        document.signatures.clear()
        for signer in signers:
            document.sign(signer, append=True)
        file = self._root_file(document.signed.version) if role == "root" else self._file(role)
        replace_file(file, document.to_bytes(_SERIALIZER))


def _delegated_roles(top: Targets) -> tuple[str, ...]:
    roles = top.delegations.roles if top.delegations is not None else None
    return tuple(roles or ())


def _target(path: str, content: bytes, custom: Mapping[str, str | int]) -> TargetFile:
    target = TargetFile.from_data(path, content, ["sha256"])
    target.unrecognized_fields["custom"] = dict(custom)
    return target


def _release_path(channel: str, name: str, version: str) -> str:
    return f"{channel}/{name}/{version}.bundle"


def _check_name(name: str, version: str) -> None:
    if not _NAME.match(name):
        raise RepositoryError(f"{name!r} is no name: use 1 to 64 of [a-z0-9._-]")
    try:
        precedence(version)
    except ValueError as error:
        raise RepositoryError(str(error)) from error


def _checked_floor(floor: str, version: str) -> str:
    try:
        above = precedence(floor) > precedence(version)
    except ValueError as error:
        raise RepositoryError(str(error)) from error
    if above:
        raise RepositoryError(f"the floor {floor} would withdraw {version}, which declares it")
    return floor
