"""One channel of the mirror: what it has proved, and bringing that into use.

Each channel stands alone: its own documents on disk, its own patience, its own failures. A
release that this box refused is not tried again until the ring says something new.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from cloud_sync.activation import Activation
from cloud_sync.bundle_store import BundleStore
from cloud_sync.cloud_tree import CloudTree
from cloud_sync.errors import (
    BundleError,
    CloudUnavailableError,
    HostRefusedError,
    HostUnavailableError,
)
from cloud_sync.evidence import NOTHING_SEEN, EvidenceFile, Proof, Seen, Selected, prove
from terminal_client.core.trust import Evidence, VerifySignature
from terminal_client.core.trust_errors import TrustError

logger = logging.getLogger(__name__)

_CLOUD_PATIENCE = (timedelta(seconds=1), timedelta(minutes=5))
_HOST_PATIENCE = (timedelta(seconds=0.2), timedelta(seconds=5))
_REMEMBER_EVERY = timedelta(hours=1)
"""How often an unchanged look at the cloud is put on disk: age survives a restart."""


class Channel:
    """What is known of one channel, on disk too."""

    def __init__(
        self,
        name: str,
        ring: str,
        pinned_root: bytes,
        verify_signature: VerifySignature,
        folder: Path,
    ) -> None:
        self.name = name
        self.problem = ""
        self.seen_at: datetime | None = None
        self.latest: Proof | None = None
        self.in_use: Proof | None = None
        self.moved = asyncio.Event()
        self._written_at: datetime | None = None
        self._ring = ring
        self._pinned_root = pinned_root
        self._verify_signature = verify_signature
        self._latest_file = EvidenceFile(folder / f"{name}.latest.json")
        self._in_use_file = EvidenceFile(folder / f"{name}.in_use.json")

    def load(self) -> None:
        """Prove again what lies on disk. What does not hold is left out with a warning."""
        for file, use in ((self._in_use_file, True), (self._latest_file, False)):
            try:
                found = file.read()
                if found is None:
                    continue
                proof = self._prove(found[0])
            except (BundleError, TrustError) as exc:
                logger.warning(
                    "the %s channel's documents on disk are not used: %s", self.name, exc
                )
                continue
            if use:
                self.in_use = proof
            self.latest, self.seen_at = proof, found[1]
        self.moved.set()

    def offer(self, evidence: Evidence, now: datetime) -> None:
        """Believe newer documents, if they prove themselves, and put them on disk.

        Raises:
            TrustError: they do not; what was believed stays.
            OSError: the disk refuses; what was believed stays.
        """
        try:
            latest = self.latest
            if latest is None:
                self._believe(self._prove(evidence), now)
            elif evidence != latest.evidence:
                self._believe(self._prove(evidence, (latest.memory, latest.counters)), now)
            elif self._written_at is None or now - self._written_at > _REMEMBER_EVERY:
                self._write(latest, now)
        except TrustError as exc:
            self.problem = str(exc)
            raise
        except OSError as exc:
            self.problem = f"the disk refuses: {exc.strerror}"
            raise
        self.seen_at = now
        self.problem = ""

    def use(self, proof: Proof) -> None:
        """Remember that everything ``proof`` selects is in use. Raises: OSError."""
        if proof is not self.in_use and self.seen_at is not None:
            self._in_use_file.write(proof.evidence, self.seen_at)
            self.in_use = proof

    def signed(self) -> frozenset[str]:
        """Return the digests of every release the channel is known to have signed."""
        proofs = filter(None, (self.latest, self.in_use))
        return frozenset().union(*(proof.signed for proof in proofs))

    def _believe(self, proof: Proof, now: datetime) -> None:
        self._write(proof, now)
        self.latest = proof
        self.moved.set()

    def _write(self, proof: Proof, now: datetime) -> None:
        self._latest_file.write(proof.evidence, now)
        self._written_at = now

    def _prove(self, evidence: Evidence, seen: Seen = NOTHING_SEEN) -> Proof:
        return prove(
            evidence, self._ring, self.name, self._pinned_root, self._verify_signature, seen
        )


class ChannelLoop:
    """Brings one channel's selected releases into use, for ever."""

    def __init__(
        self,
        channel: Channel,
        tree: CloudTree | None,
        store: BundleStore,
        activation: Activation,
        kept: Callable[[], Iterable[str]],
    ) -> None:
        """``kept`` names every digest that must stay on disk, of all channels."""
        self._channel = channel
        self._tree = tree
        self._store = store
        self._activation = activation
        self._kept = kept
        self._refused: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Work until cancelled; wakes when the channel moved or a wait is over."""
        patience = timedelta(0)
        while True:
            try:
                async with asyncio.timeout(patience.total_seconds() or None):
                    await self._channel.moved.wait()
            except TimeoutError:
                pass
            else:
                self._channel.moved.clear()
                patience = timedelta(0)
            patience = await self._pass(patience)

    async def _pass(self, waited: timedelta) -> timedelta:
        """Try everything once; return how long to wait before trying again, 0: no need."""
        proof = self._channel.latest
        if proof is None:
            return timedelta(0)
        try:
            activated = [await self._bring(selected) for selected in proof.selected]
            if all(activated):
                await asyncio.to_thread(self._channel.use, proof)
                await asyncio.to_thread(self._store.keep, list(self._kept()))
        except HostUnavailableError as exc:
            logger.debug("%s waits for serving: %s", self._channel.name, exc)
            return _longer(waited, _HOST_PATIENCE)
        except CloudUnavailableError as exc:
            self._channel.problem = str(exc)
            return _longer(waited, _CLOUD_PATIENCE)
        except OSError as exc:
            self._channel.problem = f"the disk refuses: {exc.strerror}"
            return _longer(waited, _CLOUD_PATIENCE)
        return timedelta(0)

    async def _bring(self, selected: Selected) -> bool:
        """Fetch and activate one release; False: this box refuses it."""
        release = selected.release
        if (release.digest, selected.counter) in self._refused:
            return False
        try:
            if not await asyncio.to_thread(self._store.holds, release.digest, release.length):
                await self._fetch(selected)
            await self._activation.activate(selected)
        except (BundleError, HostRefusedError) as exc:
            logger.error("not using %s %s: %s", release.name, release.version, exc)
            self._channel.problem = f"{release.name} {release.version}: {exc}"
            self._refused.add((release.digest, selected.counter))
            return False
        return True

    async def _fetch(self, selected: Selected) -> None:
        if self._tree is None:
            raise CloudUnavailableError("no cloud is configured")
        release = selected.release
        pieces = self._tree.bundle(release.digest.removeprefix("sha256:"))
        await self._store.receive(release.digest, release.length, pieces)
        logger.info("fetched %s %s, %d bytes", release.name, release.version, release.length)


def _longer(waited: timedelta, bounds: tuple[timedelta, timedelta]) -> timedelta:
    """Return twice what was waited, within ``bounds``."""
    return min(max(waited * 2, bounds[0]), bounds[1])
