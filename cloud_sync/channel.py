"""One channel of the mirror: what it has proved, and bringing that into use.

Each channel stands alone: its own documents on disk, its own patience, its own failures. A
release that this box refused, its bytes proved, is not tried again until the ring says
something new; one that only did not arrive is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
        self.documents_problem = ""
        self.release_problem = ""
        self.seen_at: datetime | None = None
        self.latest: Proof | None = None
        self.in_use: Proof | None = None
        self.before: Proof | None = None
        self.moved = asyncio.Event()
        self._written_at: datetime | None = None
        self._ring = ring
        self._pinned_root = pinned_root
        self._verify_signature = verify_signature
        self._latest_file = EvidenceFile(folder / f"{name}.latest.json")
        self._in_use_file = EvidenceFile(folder / f"{name}.in_use.json")
        self._before_file = EvidenceFile(folder / f"{name}.before.json")

    @property
    def problem(self) -> str:
        """Why the channel does not advance: its documents, or what they select; empty: it does."""
        return "; ".join(filter(None, (self.documents_problem, self.release_problem)))

    def load(self) -> None:
        """Prove again what lies on disk. What does not hold is left out with a warning."""
        before = self._read(self._before_file)
        if before is not None:
            self.before = before[0]
        in_use = self._read(self._in_use_file)
        if in_use is not None:
            self.in_use = in_use[0]
        found = self._read(self._latest_file) or in_use
        if found is not None:
            self.latest, self.seen_at = found
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
            self.documents_problem = str(exc)
            raise
        except OSError as exc:
            self.documents_problem = f"the disk refuses: {exc.strerror}"
            raise
        self.seen_at = now
        self.documents_problem = ""

    def use(self, proof: Proof) -> None:
        """Remember that everything ``proof`` selects is in use. Raises: OSError.

        The proof of another selection that was in use until now stays known: a box that falls
        back shows by it what it decides by.
        """
        if proof is self.in_use or self.seen_at is None:
            return
        if self.in_use is not None and self.in_use.digests != proof.digests:
            self._before_file.write(self.in_use.evidence, self.seen_at)
            self.before = self.in_use
        self._in_use_file.write(proof.evidence, self.seen_at)
        self.in_use = proof

    def proof_of(self, digest: str) -> Proof | None:
        """Return the proof by which the release ``digest`` is or was selected here; None: none."""
        for proof in filter(None, (self.in_use, self.latest, self.before)):
            if digest in proof.digests:
                return proof
        return None

    def signed(self) -> frozenset[str]:
        """Return the digests of every release the channel is known to have signed."""
        return frozenset().union(*(proof.signed for proof in self.proofs()))

    def proofs(self) -> Iterator[Proof]:
        """Yield every proof known."""
        yield from filter(None, (self.latest, self.in_use, self.before))

    def _read(self, file: EvidenceFile) -> tuple[Proof, datetime] | None:
        try:
            found = file.read()
            return None if found is None else (self._prove(found[0]), found[1])
        except (BundleError, TrustError) as exc:
            logger.warning("the %s channel's documents on disk are not used: %s", self.name, exc)
            return None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """How it went with one release. ``patience`` None: trying again would change nothing."""

    problem: str = ""
    patience: tuple[timedelta, timedelta] | None = None


_DONE = _Tried()


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
        self._refused: dict[tuple[str, int], str] = {}

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
            patience = await self._guarded_pass(patience)

    async def _guarded_pass(self, waited: timedelta) -> timedelta:
        """As ``_pass``; what nobody foresaw stays this channel's own trouble."""
        try:
            return await self._pass(waited)
        except Exception as exc:
            if not self._channel.release_problem:
                logger.exception("the %s channel stumbled", self._channel.name)
            self._channel.release_problem = f"unforeseen: {_told(exc)}"
            return _longer(waited, _CLOUD_PATIENCE)

    async def _pass(self, waited: timedelta) -> timedelta:
        """Try everything once; return how long to wait before trying again, 0: no need."""
        proof = self._channel.latest
        if proof is None:
            return timedelta(0)
        tried = [await self._try(selected) for selected in proof.selected]
        if all(one is _DONE for one in tried):
            try:
                await asyncio.to_thread(self._channel.use, proof)
                await asyncio.to_thread(self._store.keep, list(self._kept()))
            except OSError as exc:
                tried.append(_disk_refuses(exc))
        self._channel.release_problem = "; ".join(one.problem for one in tried if one.problem)
        bounds = [one.patience for one in tried if one.patience is not None]
        return _longer(waited, min(bounds)) if bounds else timedelta(0)

    async def _try(self, selected: Selected) -> _Tried:
        """Fetch and activate one release; each stands for itself."""
        release = selected.release
        key = (release.digest, selected.counter)
        if key in self._refused:
            return _Tried(problem=self._refused[key])
        label = f"{release.name} {release.version}"
        try:
            await self._bring(selected)
        except HostUnavailableError as exc:
            logger.debug("%s waits for serving: %s", label, exc)
            return _Tried(patience=_HOST_PATIENCE)
        except CloudUnavailableError as exc:
            return _Tried(problem=f"{label}: {exc}", patience=_CLOUD_PATIENCE)
        except OSError as exc:
            return _disk_refuses(exc)
        except (BundleError, HostRefusedError) as exc:
            logger.error("not using %s: %s", label, exc)
            self._refused[key] = f"{label}: {exc}"
        except Exception as exc:
            # The bytes are the signed ones: what they break here they would break again.
            logger.exception("not using %s", label)
            self._refused[key] = f"{label}: unforeseen: {_told(exc)}"
        else:
            return _DONE
        return _Tried(problem=self._refused[key])

    async def _bring(self, selected: Selected) -> None:
        """Fetch and activate one release.

        Raises:
            CloudUnavailableError: its bytes did not arrive, or left the disk again.
            HostUnavailableError, OSError: come again.
            HostRefusedError, BundleError: its bytes are proved, and this box cannot use them.
        """
        if not await self._held(selected):
            await self._fetch(selected)
        try:
            await self._activation.activate(selected)
        except BundleError as exc:
            if not await self._held(selected):
                raise CloudUnavailableError(f"must be fetched again: {exc}") from exc
            raise

    async def _held(self, selected: Selected) -> bool:
        release = selected.release
        return await asyncio.to_thread(self._store.holds, release.digest, release.length)

    async def _fetch(self, selected: Selected) -> None:
        if self._tree is None:
            raise CloudUnavailableError("no cloud is configured")
        release = selected.release
        pieces = self._tree.bundle(release.digest.removeprefix("sha256:"))
        await self._store.receive(release.digest, release.length, pieces)
        logger.info("fetched %s %s, %d bytes", release.name, release.version, release.length)


def _disk_refuses(exc: OSError) -> _Tried:
    return _Tried(problem=f"the disk refuses: {exc.strerror}", patience=_CLOUD_PATIENCE)


def _told(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"[:200]


def _longer(waited: timedelta, bounds: tuple[timedelta, timedelta]) -> timedelta:
    """Return twice what was waited, within ``bounds``."""
    return min(max(waited * 2, bounds[0]), bounds[1])
