"""Making a verified bundle decide: stage, canary, flip, remember; and again after a restart.

Owns which artifacts are active, on disk, with the one before each (N and N-1). What is
remembered was flipped: a bundle that fails on this box leaves no trace but its reason. Each
artifact stands for itself; one that fails takes no other with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cloud_sync.bundle_store import BundleStore
from cloud_sync.durable_files import replace_file
from cloud_sync.errors import BundleError, HostRefusedError
from cloud_sync.evidence import Selected
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.trust import Release

logger = logging.getLogger(__name__)

_SCHEMA = 1
PACKED_KINDS = frozenset({"rules"})
"""Kinds that are handed over as the signed file itself; the others are unpacked."""


class ArtifactHost(Protocol):
    """Who serves the artifacts. Every call ends in time.

    Each raises HostUnavailableError when it is away and HostRefusedError when it will not.
    """

    async def stage(self, release: Release, path: Path) -> None:
        """Load the artifact at ``path`` beside the active one."""
        ...

    async def canary(self, digest: str) -> None:
        """Run a staged artifact's golden vectors where it will decide."""
        ...

    async def flip(self, digest: str) -> None:
        """Make a canaried artifact decide."""
        ...

    async def unload(self, digest: str) -> None:
        """Let go of an artifact that does not decide."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """An artifact that decides, and the one that did before it."""

    release: Release
    counter: int
    activated: datetime
    previous: Release | None


Slot = tuple[str, str]
"""An artifact's kind and name: one of each decides."""


class Activation:
    """What decides on this box."""

    def __init__(
        self, host: ArtifactHost, store: BundleStore, path: Path, clock: Callable[[], datetime]
    ) -> None:
        self._host = host
        self._store = store
        self._path = path
        self._clock = clock
        self._active: dict[Slot, Active] = {}
        self._problems: dict[Slot, str] = {}
        # A restart of the host and a new release never meet half way.
        self._lock = asyncio.Lock()

    @property
    def active(self) -> Mapping[Slot, Active]:
        """What decides, by kind and name."""
        return self._active

    @property
    def problems(self) -> Mapping[Slot, str]:
        """Why an artifact that should decide does not, by kind and name."""
        return self._problems

    def load(self, signed: Callable[[str], bool]) -> None:
        """Remember what was active in an earlier life, as far as it is ``signed`` (by digest).

        What cannot be read is forgotten with a warning: the mirror selects it again.
        """
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return
        try:
            fields = Fields(json.loads(raw), self._path.name)
            fields.integer("schema", _SCHEMA, _SCHEMA)
            entries = fields.items("active", _read_active)
            fields.close()
        except (DocumentError, ValueError) as exc:
            logger.warning("starting without remembered artifacts: %s", exc)
            return
        for entry in entries:
            if signed(entry.release.digest):
                self._active[_slot(entry.release)] = entry
            else:
                logger.warning("not using %s: no signed document names it", _label(entry.release))

    async def activate(self, selected: Selected) -> bool:
        """Make the selected release decide; False: it does already.

        Raises:
            HostUnavailableError: try again soon.
            HostRefusedError, BundleError: not on this box; what decided before still does.
        """
        release = selected.release
        async with self._lock:
            before = self._active.get(_slot(release))
            if before is not None and before.release.digest == release.digest:
                self._remember(selected, before.previous, before.activated)
                return False
            try:
                await self._drive(release)
            except (HostRefusedError, BundleError) as exc:
                self._problems[_slot(release)] = f"{_label(release)}: {exc}"
                raise
            previous = None if before is None else before.release
            self._remember(selected, previous, self._clock())
        logger.info("%s decides", _label(release))
        if before is not None and before.previous is not None:
            await self._let_go(before.previous)
        return True

    async def restore(self, serving: Mapping[Slot, str]) -> None:
        """Make a host that serves ``serving`` (digests by slot) serve what was active.

        An artifact that it refuses now is replaced by the one before, if that works. Rules
        come first: without them the host can decide nothing.

        Raises: HostUnavailableError: it went away again.
        """
        async with self._lock:
            order = sorted(self._active.values(), key=lambda one: one.release.kind != "rules")
            for entry in order:
                if serving.get(_slot(entry.release)) != entry.release.digest:
                    await self._restore(entry)

    async def _restore(self, entry: Active) -> None:
        slot = _slot(entry.release)
        for release in filter(None, (entry.release, entry.previous)):
            try:
                await self._drive(release)
            except (HostRefusedError, BundleError, OSError) as exc:
                logger.error("%s cannot be used any more: %s", _label(release), exc)
                self._problems[slot] = f"{_label(release)}: {exc}"
            else:
                if release is entry.release:
                    self._problems.pop(slot, None)
                return

    async def _drive(self, release: Release) -> None:
        path = await asyncio.to_thread(self._ready, release)
        await self._host.stage(release, path)
        await self._host.canary(release.digest)
        await self._host.flip(release.digest)

    def _ready(self, release: Release) -> Path:
        """Return the artifact on disk, its digest checked just now."""
        if not self._store.holds(release.digest, release.length):
            raise BundleError("its bytes are not on this disk any more")
        if release.kind in PACKED_KINDS:
            return self._store.file(release.digest)
        return self._store.unpack(release.digest)

    async def _let_go(self, release: Release) -> None:
        if any(release.digest == one.release.digest for one in self._active.values()):
            return
        try:
            await self._host.unload(release.digest)
        except HostRefusedError as exc:
            # It is not held any more: a restart got there first.
            logger.debug("not unloaded: %s", exc)

    def _remember(self, selected: Selected, previous: Release | None, at: datetime) -> None:
        slot = _slot(selected.release)
        self._problems.pop(slot, None)
        entry = Active(
            release=selected.release, counter=selected.counter, activated=at, previous=previous
        )
        if self._active.get(slot) == entry:
            return
        self._active[slot] = entry
        document = {
            "schema": _SCHEMA,
            "active": [_write_active(one) for _, one in sorted(self._active.items())],
        }
        replace_file(self._path, json.dumps(document, indent=1).encode())


def _slot(release: Release) -> Slot:
    return release.kind, release.name


def _label(release: Release) -> str:
    return f"{release.kind} {release.name} {release.version} ({release.digest[7:15]})"


def _write_active(entry: Active) -> dict[str, object]:
    document: dict[str, object] = {
        "release": _write_release(entry.release),
        "counter": entry.counter,
        "activated": entry.activated.isoformat(),
    }
    if entry.previous is not None:
        document["previous"] = _write_release(entry.previous)
    return document


def _read_active(value: object, path: str) -> Active:
    fields = Fields(value, path)
    entry = Active(
        release=_read_release(fields.raw("release"), fields.at("release")),
        counter=fields.integer("counter", 1),
        activated=datetime.fromisoformat(fields.text("activated")),
        previous=(
            _read_release(fields.raw("previous"), fields.at("previous"))
            if fields.has("previous")
            else None
        ),
    )
    fields.close()
    return entry


def _write_release(release: Release) -> dict[str, object]:
    return {
        "channel": release.channel,
        "name": release.name,
        "version": release.version,
        "kind": release.kind,
        "digest": release.digest,
        "length": release.length,
    }


def _read_release(value: object, path: str) -> Release:
    fields = Fields(value, path)
    release = Release(
        channel=fields.text("channel"),
        name=fields.text("name"),
        version=fields.text("version"),
        kind=fields.text("kind"),
        digest=fields.text("digest"),
        length=fields.integer("length", 0),
    )
    fields.close()
    return release
