"""What the terminal decided itself, until a gateway has it on disk: nothing lost, nothing twice.

One thread owns the file; a lane hands it a record and waits, within its budget, until the
record is on disk. Records that wait together share one fsync. An epoch is one opening of the
spool, so a sequence number is never used for two decisions, however a process ended. When
the disk is full or the cap is reached, what cannot be kept becomes an explicit gap.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from terminal_client.spool_store import LONGEST_RECORD, Batch, Gap, Outcome, SpoolStore

logger = logging.getLogger(__name__)

FULL, TOO_LARGE, DISK_ERROR, REFUSED = "SPOOL_FULL", "TOO_LARGE", "DISK_ERROR", "REFUSED"
_GROUP = 64
_CLOSING_S = 5.0
_RECENT = 64

T = TypeVar("T")
Job = Callable[[SpoolStore], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolCounts:
    """What waits to be uploaded, and what was dropped since the start.

    ``waiting`` decisions of ``waiting_bytes``; outcomes of ``outcome_bytes``.
    """

    waiting: int
    waiting_bytes: int
    outcome_bytes: int
    dropped: int
    dropped_outcomes: int


class Receipt:
    """A record on its way to disk. ``sequence`` is 0 for an outcome."""

    def __init__(self, sequence: int, body: bytes) -> None:
        self.sequence = sequence
        self.body = body
        self._settled = threading.Event()
        self._kept = False

    @property
    def lost(self) -> bool:
        """Tell whether it is known that the record will not be kept."""
        return self._settled.is_set() and not self._kept

    def wait(self, timeout_s: float) -> bool:
        """Tell whether the record is on disk, after at most ``timeout_s``."""
        self._settled.wait(max(timeout_s, 0.0))
        return self._kept

    def settle(self, *, kept: bool) -> None:
        """Say what became of it."""
        self._kept = kept
        self._settled.set()


class Spool:
    """Thread-safe. Open it with ``Spool.open``, close it with ``close``."""

    def __init__(self, store: SpoolStore, epoch: str, cap_bytes: int) -> None:
        self.epoch = epoch
        self._store = store
        self._cap_bytes = cap_bytes
        self._lock = threading.Lock()
        self._sequence = 0
        self._inbox: queue.SimpleQueue[Receipt | tuple[Job, Future[object]] | None] = (
            queue.SimpleQueue()
        )
        self._waiting, self._waiting_bytes, self._outcome_bytes = store.sizes()
        self._dropped = self._dropped_outcomes = 0
        self._unsaid: list[Gap] = []
        self._commits: deque[float] = deque(maxlen=_RECENT)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="posgate-spool", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path, cap_bytes: int) -> Spool:
        """Open or make the spool at ``path``.

        Raises: StateError: another client has it, or its folder cannot be written.
        """
        epoch = uuid.uuid4().hex[:16]
        return cls(SpoolStore.open(path, epoch), epoch, cap_bytes)

    def append(self, build: Callable[[int], bytes]) -> Receipt:
        """Give the next decision its sequence, and its bytes (``build(sequence)``) to the disk.

        Returns at once; an exception of ``build`` uses up no sequence.
        """
        with self._lock:
            receipt = Receipt(self._sequence + 1, build(self._sequence + 1))
            self._sequence += 1
            self._hand_over(receipt)
        return receipt

    def append_outcome(self, body: bytes) -> Receipt:
        """Give a report to the disk. Returns at once."""
        receipt = Receipt(0, body)
        with self._lock:
            self._hand_over(receipt)
        return receipt

    def batch(self, most: int) -> Batch | None:
        """Return the oldest records to upload; blocks for the disk. Never for a lane."""
        return self._call(lambda store: store.batch(most))

    def outcomes(self, most: int) -> tuple[Outcome, ...]:
        """Return the oldest reports to send; blocks for the disk."""
        return self._call(lambda store: store.outcomes(most))

    def settle(self, epoch: str, through: int) -> None:
        """Drop what a gateway has on disk; on disk itself when it returns."""
        self._call(lambda store: store.settle(epoch, through))

    def give_up(self, epoch: str, sequence: int) -> None:
        """Turn a record that every gateway refuses into a gap."""
        self._call(lambda store: store.give_up(epoch, sequence, REFUSED))

    def drop_outcomes(self, numbers: list[int]) -> None:
        """Drop reports that a gateway has on disk, or will never take."""
        self._call(lambda store: store.drop_outcomes(numbers))

    @property
    def counts(self) -> SpoolCounts:
        """How full it is."""
        return SpoolCounts(
            waiting=self._waiting,
            waiting_bytes=self._waiting_bytes,
            outcome_bytes=self._outcome_bytes,
            dropped=self._dropped,
            dropped_outcomes=self._dropped_outcomes,
        )

    @property
    def usual_commit_s(self) -> float:
        """How long all but the slowest recent commits took, in seconds; 5 ms before the first."""
        recent = sorted(self._commits)
        return recent[len(recent) * 9 // 10] if recent else 0.005

    def close(self) -> None:
        """Write what was handed over, then close the file. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._inbox.put(None)
        self._thread.join(_CLOSING_S)

    def _hand_over(self, receipt: Receipt) -> None:
        if self._closed:
            receipt.settle(kept=False)
        else:
            self._inbox.put(receipt)

    def _call(self, job: Callable[[SpoolStore], T]) -> T:
        """Run ``job`` in the spool's thread, in a transaction. Raises: sqlite3.Error."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("the spool is closed")
            self._inbox.put((job, future))  # type: ignore[arg-type]
        return future.result()

    def _run(self) -> None:
        closing = False
        while not closing:
            receipts: list[Receipt] = []
            jobs: list[tuple[Job, Future[object]]] = []
            item = self._inbox.get()
            while True:
                if item is None:
                    closing = True
                elif isinstance(item, Receipt):
                    receipts.append(item)
                else:
                    jobs.append(item)
                if closing or self._inbox.empty() or len(receipts) + len(jobs) >= _GROUP:
                    break
                item = self._inbox.get()
            if receipts:
                self._write(receipts)
            for job, future in jobs:
                self._do(job, future)
        self._store.close()

    def _write(self, receipts: list[Receipt]) -> None:
        began = time.monotonic()
        before = self._waiting, self._waiting_bytes, self._outcome_bytes
        unsaid, self._unsaid = self._unsaid, []
        try:
            with self._store.transaction():
                for gap in unsaid:
                    self._store.add_gap(gap)
                kept = [receipt for receipt in receipts if self._add(receipt)]
        except sqlite3.Error as error:
            logger.warning("spool: %s; %d records become a gap", error, len(receipts))
            self._unsaid = _with_gaps(unsaid, receipts)
            kept = []
            self._waiting, self._waiting_bytes, self._outcome_bytes = before
        self._commits.append(time.monotonic() - began)
        self._settle(receipts, kept)

    def _add(self, receipt: Receipt) -> bool:
        size = len(receipt.body)
        if not receipt.sequence:
            if self._outcome_bytes + size > self._cap_bytes // 4:
                return False
            self._store.add_outcome(receipt.body)
            self._outcome_bytes += size
            return True
        too_large = size > LONGEST_RECORD
        if too_large or self._waiting_bytes + size > self._cap_bytes:
            reason = TOO_LARGE if too_large else FULL
            self._store.add_gap(Gap(first=receipt.sequence, last=receipt.sequence, reason=reason))
            return False
        self._store.add_decision(receipt.sequence, receipt.body)
        self._waiting += 1
        self._waiting_bytes += size
        return True

    def _settle(self, receipts: list[Receipt], kept: list[Receipt]) -> None:
        for receipt in receipts:
            on_disk = receipt in kept
            if not on_disk and receipt.sequence:
                self._dropped += 1
            elif not on_disk:
                self._dropped_outcomes += 1
            receipt.settle(kept=on_disk)

    def _do(self, job: Job, future: Future[object]) -> None:
        try:
            with self._store.transaction():
                result = job(self._store)
        except sqlite3.Error as error:
            future.set_exception(error)
        else:
            self._count()
            future.set_result(result)

    def _count(self) -> None:
        try:
            self._waiting, self._waiting_bytes, self._outcome_bytes = self._store.sizes()
        except sqlite3.Error as error:
            logger.warning("spool: %s; its size is as it was", error)


def _with_gaps(gaps: list[Gap], receipts: list[Receipt]) -> list[Gap]:
    """Return ``gaps`` and those of ``receipts``, neighbours joined: a broken disk may last."""
    joined = list(gaps)
    for sequence in (receipt.sequence for receipt in receipts if receipt.sequence):
        last = joined[-1] if joined else None
        if last is not None and last.last == sequence - 1:
            joined[-1] = Gap(first=last.first, last=sequence, reason=last.reason)
        else:
            joined.append(Gap(first=sequence, last=sequence, reason=DISK_ERROR))
    return joined
