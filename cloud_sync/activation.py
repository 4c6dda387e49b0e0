"""Making a verified bundle decide: stage, canary, flip, remember; and again after a restart.

Owns which artifacts are active, on disk, with the one before each (N and N-1). What is
remembered was flipped: a bundle that fails on this box leaves no trace but its reason. What
is remembered and what decides differ while the host will not take back what it served: that
is said, and tried again for as long as whoever asks for ``restore`` has patience. Each artifact
stands for itself; one that fails takes no other with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cloud_sync.active_file import Active, read_active, write_active
from cloud_sync.bundle_store import BundleStore
from cloud_sync.errors import BundleError, HostRefusedError
from cloud_sync.evidence import Selected
from terminal_client.core.trust import Release

logger = logging.getLogger(__name__)

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
        self._deciding: dict[Slot, Release] = {}
        self._refused: dict[Slot, str] = {}
        self._lost: dict[Slot, str] = {}
        # A restart of the host and a new release never meet half way; one artifact that takes
        # its time keeps no other waiting.
        self._locks: defaultdict[Slot, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def active(self) -> Mapping[Slot, Active]:
        """What should decide, by kind and name."""
        return self._active

    @property
    def problems(self) -> Mapping[Slot, str]:
        """Why an artifact that should decide does not, by kind and name."""
        return self._refused | self._lost

    @property
    def rules_digest(self) -> str:
        """The digest of the rules that decide; of those that should, while none do; else empty."""
        for releases in (
            self._deciding,
            {slot: active.release for slot, active in self._active.items()},
        ):
            for (kind, _), release in releases.items():
                if kind in PACKED_KINDS:
                    return release.digest
        return ""

    def load(self, signed: Callable[[str], bool]) -> None:
        """Remember what was active in an earlier life, as far as it is ``signed`` (by digest).

        What cannot be read is forgotten with a warning: the mirror selects it again.
        """
        for entry in read_active(self._path):
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
        release, slot = selected.release, _slot(selected.release)
        async with self._locks[slot]:
            before = self._active.get(slot)
            if before is not None and before.release.digest == release.digest:
                self._refused.pop(slot, None)
                self._remember(selected, before.previous, before.activated)
                return False
            try:
                await self._drive(release)
            except (HostRefusedError, BundleError) as exc:
                self._refused[slot] = f"{_label(release)}: {exc}"
                raise
            previous = self._deciding.get(slot) or (before.release if before else None)
            self._deciding[slot] = release
            self._refused.pop(slot, None)
            self._lost.pop(slot, None)
            self._remember(selected, previous, self._clock())
        logger.info("%s decides", _label(release))
        if before is not None:
            for old in filter(None, (before.release, before.previous)):
                if previous is None or old.digest not in (release.digest, previous.digest):
                    await self._let_go(old)
        return True

    async def restore(self, serving: Mapping[Slot, str], *, rules_only: bool = False) -> bool:
        """Make a host that serves ``serving`` (digests by slot) serve what was active.

        An artifact that it refuses now is replaced by the one before, if that works. Rules
        come first: without them the host can decide nothing.

        Returns:
            Whether everything looked at is what should decide; False: ask again later, what is
            refused in a busy moment is often taken in a quiet one.

        Raises: HostUnavailableError: it went away again.
        """
        whole = True
        for slot in sorted(self._active, key=lambda one: one[0] not in PACKED_KINDS):
            if rules_only and slot[0] not in PACKED_KINDS:
                continue
            async with self._locks[slot]:
                whole &= await self._restore(slot, serving.get(slot, ""))
        return whole

    async def _restore(self, slot: Slot, served: str) -> bool:
        """Return whether the slot's artifact decides; ``served`` is the digest that does so far."""
        entry = self._active[slot]
        problems = []
        for release in filter(None, (entry.release, entry.previous)):
            try:
                if served != release.digest:
                    await self._drive(release)
            except (HostRefusedError, BundleError, OSError) as exc:
                problems.append(f"{_label(release)}: {exc}")
                continue
            self._deciding[slot] = release
            if release is entry.release:
                self._lost.pop(slot, None)
                return True
            problems.append(f"{_label(release)} decides instead")
            break
        else:
            self._deciding.pop(slot, None)
        problem = "; ".join(problems)
        if self._lost.get(slot) != problem:
            logger.error("not what should decide: %s", problem)
        self._lost[slot] = problem
        return False

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
        wanted = (
            one for active in self._active.values() for one in (active.release, active.previous)
        )
        if any(one is not None and one.digest == release.digest for one in wanted):
            return
        try:
            await self._host.unload(release.digest)
        except HostRefusedError as exc:
            # It is not held any more: a restart got there first.
            logger.debug("not unloaded: %s", exc)

    def _remember(self, selected: Selected, previous: Release | None, at: datetime) -> None:
        slot = _slot(selected.release)
        entry = Active(
            release=selected.release, counter=selected.counter, activated=at, previous=previous
        )
        if self._active.get(slot) == entry:
            return
        self._active[slot] = entry
        write_active(self._path, [one for _, one in sorted(self._active.items())])


def _slot(release: Release) -> Slot:
    return release.kind, release.name


def _label(release: Release) -> str:
    return f"{release.kind} {release.name} {release.version} ({release.digest[7:15]})"
