"""The mirror of the signed tree: looks at the cloud, feeds the channels, works without it.

One look reads the roots, the delegation, the ring's pointers and the channels' releases, and
offers them to each channel, which believes or refuses on its own. When the cloud is away
only ages change. What registers are given are the documents that this box itself uses.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cloud_sync.activation import Activation
from cloud_sync.bundle_store import BundleStore
from cloud_sync.channel import Channel, ChannelLoop
from cloud_sync.cloud_tree import CloudTree
from cloud_sync.errors import BundleError, CloudUnavailableError
from terminal_client.core.trust import LONGEST_ROOT_CHAIN, Evidence, VerifySignature
from terminal_client.core.trust_errors import TrustError
from terminal_client.core.trust_metadata import read_envelope

logger = logging.getLogger(__name__)

CHANNELS = ("rules", "features", "models")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustDocuments:
    """What a register needs to verify the fallback bundle; see GetTrustResponse."""

    roots: tuple[bytes, ...]
    delegation: bytes
    release: bytes
    pointer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudView:
    """How the cloud looks from here. ``reachable`` None: not tried yet, or there is none."""

    configured: bool
    reachable: bool | None
    last_success: datetime | None
    problem: str


class Mirror:
    """Three channels of one ring."""

    def __init__(
        self,
        *,
        tree: CloudTree | None,
        ring: str,
        pinned_root: bytes,
        verify_signature: VerifySignature,
        store: BundleStore,
        activation: Activation,
        folder: Path,
        poll_interval: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        """Raises: TrustError: ``pinned_root`` is no root."""
        self._pinned = (read_envelope(pinned_root, "root", "root").version, pinned_root)
        self._tree = tree
        self._ring = ring
        self._store = store
        self._activation = activation
        self._poll_interval = poll_interval
        self._clock = clock
        self._reachable: bool | None = None
        self._last_success: datetime | None = None
        self._problem = ""
        self.channels = {
            name: Channel(name, ring, pinned_root, verify_signature, folder) for name in CHANNELS
        }

    @property
    def cloud(self) -> CloudView:
        """How the cloud looks from here."""
        return CloudView(
            configured=self._tree is not None,
            reachable=self._reachable,
            last_success=self._last_success,
            problem=self._problem,
        )

    def load(self) -> None:
        """Take up what is on disk, without any network."""
        for channel in self.channels.values():
            channel.load()
        signed = frozenset().union(*(channel.signed() for channel in self.channels.values()))
        self._activation.load(signed.__contains__)
        times = [channel.seen_at for channel in self.channels.values() if channel.seen_at]
        self._last_success = max(times, default=None)

    async def run(self) -> None:
        """Look and bring into use until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for channel in self.channels.values():
                loop = ChannelLoop(channel, self._tree, self._store, self._activation, self._kept)
                tasks.create_task(loop.run(), name=f"channel-{channel.name}")
            if self._tree is not None:
                tasks.create_task(self._look_for_ever(self._tree), name="mirror-look")

    def host_moved(self) -> None:
        """Serving came back: channels that waited for it try again now."""
        for channel in self.channels.values():
            channel.moved.set()

    def documents(self, known_root_version: int) -> TrustDocuments | None:
        """Return what a register that knows a root verifies the fallback bundle with.

        The documents by which this box selected the rules that decide here, also after it fell
        back; before any do, the latest. None: it has none. A register older than the pinned
        root gets that root first.
        """
        rules = self.channels["rules"]
        proof = rules.proof_of(self._activation.rules_digest) or rules.in_use or rules.latest
        if proof is None:
            return None
        first, pinned = self._pinned
        chain = enumerate((pinned, *proof.evidence.roots), first)
        return TrustDocuments(
            roots=tuple(raw for version, raw in chain if version > known_root_version),
            delegation=proof.evidence.delegation,
            release=proof.evidence.release,
            pointer=proof.evidence.pointer,
        )

    def fallback_digests(self) -> frozenset[str]:
        """Return the digests of the rules that registers may fetch."""
        rules = self.channels["rules"]
        return frozenset().union(*(proof.digests for proof in rules.proofs()))

    async def look(self) -> None:
        """Look at the cloud once.

        Raises: CloudUnavailableError, BundleError: nothing could be read.
        """
        if self._tree is None:
            raise CloudUnavailableError("no cloud is configured")
        roots = await self._roots(self._tree)
        delegation, pointer = await self._required(self._tree, "targets", self._ring)
        now = self._clock()
        for name, channel in self.channels.items():
            release = await self._tree.metadata(name)
            if release is None:
                channel.documents_problem = f"the tree has no {name}.json"
                continue
            evidence = Evidence(
                roots=roots, delegation=delegation, release=release, pointer=pointer
            )
            before = channel.documents_problem
            try:
                # On the loop, not in a thread: the channel's state changes in one step.
                channel.offer(evidence, now)
            except (TrustError, OSError):
                told = channel.documents_problem
                if told != before:
                    logger.error("the documents of %s are refused: %s", name, told)

    async def _look_for_ever(self, tree: CloudTree) -> None:
        while True:
            try:
                await self.look()
            except (CloudUnavailableError, BundleError, OSError) as exc:
                if self._reachable is not False:
                    logger.warning("the cloud is away, going on with what is here: %s", exc)
                self._reachable, self._problem = False, str(exc)
            else:
                if self._reachable is False:
                    logger.info("the cloud is back")
                self._reachable, self._problem = True, ""
                self._last_success = self._clock()
            # Stores that lost power together should not come back in step.
            spread = random.uniform(0.9, 1.1)  # noqa: S311 - no secret depends on it
            await asyncio.sleep(self._poll_interval.total_seconds() * spread)

    async def _roots(self, tree: CloudTree) -> tuple[bytes, ...]:
        """Return every root after the pinned one: those known, and what is new."""
        known = (channel.latest for channel in self.channels.values())
        roots: list[bytes] = []
        for proof in known:
            if proof is not None and len(proof.evidence.roots) > len(roots):
                roots = list(proof.evidence.roots)
        while len(roots) < LONGEST_ROOT_CHAIN:
            raw = await tree.metadata(f"{self._pinned[0] + len(roots) + 1}.root")
            if raw is None:
                break
            roots.append(raw)
        return tuple(roots)

    @staticmethod
    async def _required(tree: CloudTree, *names: str) -> Sequence[bytes]:
        found = []
        for name in names:
            raw = await tree.metadata(name)
            if raw is None:
                raise CloudUnavailableError(f"the tree has no {name}.json")
            found.append(raw)
        return found

    def _kept(self) -> Iterator[str]:
        """Yield every digest that stays on disk: selected, remembered, and the one before."""
        yield from _selected(self.channels.values())
        for active in self._activation.active.values():
            yield active.release.digest
            if active.previous is not None:
                yield active.previous.digest


def _selected(channels: Iterable[Channel]) -> Iterator[str]:
    for channel in channels:
        for proof in filter(None, (channel.latest, channel.in_use)):
            yield from (one.release.digest for one in proof.selected)
