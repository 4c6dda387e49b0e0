"""Drains serving's journal into the durable inbox.

The ring is freed only after the commit, so a kill between the two drains the same records
again, which the inbox recognises. Records that cannot be read are kept aside; numbers that
are missing and losses that the ring reports become gap records. When the disk refuses, the
ring waits and serving goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Protocol

from google.protobuf.message import DecodeError

from cloud_sync.errors import StoreUnavailableError
from cloud_sync.records import Batch, BatchResult, DecisionRecord, Gap, Origin, PoisonRecord, Source
from gateway.journal import Drained, JournalError, JournalReader
from gateway.sale_facts import sale_facts
from posgate.box.v1 import serving_pb2 as box_pb
from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import RequestError, decode_request
from terminal_client.codec.basket_reader import instant_from_pb

logger = logging.getLogger(__name__)

POLL_S = 0.1
PATIENCE_S = 1.0
MAX_RECORDS = 128
"""Records read at once: bounds how long control is busy with them."""


class Drain(Protocol):
    """Where records go: the inbox."""

    async def accept_batch(self, batch: Batch) -> BatchResult:
        """Store a batch durably."""
        ...


class Stored(Protocol):
    """What is on disk already."""

    async def last_sequence(self, epoch: str) -> int:
        """Return the highest journal sequence stored of an epoch; 0: none."""
        ...


@dataclass(slots=True)
class _Found:
    """The records of one epoch, sorted by what becomes of them."""

    decisions: list[DecisionRecord] = field(default_factory=list)
    poison: list[PoisonRecord] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class JournalDrain:
    """Drains one journal for ever."""

    def __init__(
        self,
        path: Path,
        inbox: Drain,
        stored: Stored,
        lost: Callable[[Iterable[Gap]], None] = lambda gaps: None,
    ) -> None:
        """``lost`` is told of every gap once it is on disk."""
        self._path = path
        self._inbox = inbox
        self._stored = stored
        self._lost = lost
        self._epoch = ""
        self._sequence = 0
        # Two readers of one ring must not drain the same records at once.
        self._draining = asyncio.Lock()
        self.problem = ""
        self.drained_count = 0

    async def run(self) -> None:
        """Drain until cancelled; a journal that is not there yet is waited for."""
        while True:
            try:
                with JournalReader.open(self._path) as reader:
                    await self._follow(reader, os.stat(self._path))
            except (FileNotFoundError, JournalError) as exc:
                logger.debug("waiting for serving's journal: %s", exc)
            await asyncio.sleep(POLL_S)

    async def drain(self, reader: JournalReader) -> int:
        """Drain what is there now, once; return how many records are on disk and freed.

        Raises: StoreUnavailableError: the disk refuses; the ring keeps its records.
        """
        async with self._draining:
            return await self._drain(reader)

    async def empty(self) -> None:
        """Drain until nothing is left, or no journal is there.

        Raises: StoreUnavailableError: the disk refuses; what is left stays in the ring.
        """
        try:
            with JournalReader.open(self._path) as reader:
                while await self.drain(reader):
                    pass
        except (FileNotFoundError, JournalError) as exc:
            logger.debug("nothing to drain: %s", exc)

    async def finish(self) -> None:
        """Drain what is left, before control ends; what the disk refuses stays in the ring."""
        try:
            await self.empty()
        except StoreUnavailableError as exc:
            logger.warning("leaving the journal as it is: %s", exc)

    async def _drain(self, reader: JournalReader) -> int:
        drained = reader.read(MAX_RECORDS)
        batches = await self._batches(drained)
        for batch in batches:
            result = await self._inbox.accept_batch(batch)
            self._lost(result.gaps)
        reader.commit(drained.position)
        if batches and drained.records:
            last = drained.records[-1]
            self._epoch, self._sequence = last.epoch, last.sequence
        self.drained_count += len(drained.records)
        return len(drained.records)

    async def _follow(self, reader: JournalReader, opened: os.stat_result) -> None:
        """Drain until the file is replaced: a new one has another inode or size."""
        while True:
            try:
                drained_count = await self.drain(reader)
            except StoreUnavailableError as exc:
                if not self.problem:
                    logger.error("decisions wait in memory, the disk refuses them: %s", exc)
                self.problem = str(exc)
                await asyncio.sleep(PATIENCE_S)
                continue
            self.problem = ""
            if drained_count < MAX_RECORDS:
                await asyncio.sleep(POLL_S)
            now = await asyncio.to_thread(os.stat, self._path)
            if (now.st_ino, now.st_size) != (opened.st_ino, opened.st_size):
                return

    async def _batches(self, drained: Drained) -> list[Batch]:
        """Return one batch per epoch, in order."""
        batches = []
        epoch, sequence = self._epoch, self._sequence
        for name, records in groupby(drained.records, key=lambda record: record.epoch):
            if name != epoch:
                epoch, sequence = name, await self._stored.last_sequence(name)
            own = list(records)
            found = await asyncio.to_thread(_sort, own, sequence)
            sequence = own[-1].sequence
            batches.append(
                Batch(
                    origin=Origin(source=Source.JOURNAL, workstation_id="", epoch=name),
                    decisions=tuple(found.decisions),
                    poison=tuple(found.poison),
                    gaps=tuple(found.gaps),
                )
            )
        if drained.corrupt_bytes and not drained.records:
            # Nothing readable tells which decisions these were: the gap is of unknown size.
            batches.append(_unreadable(epoch or "unknown", sequence))
        return batches


def _sort(records: Iterable[box_pb.JournalRecord], sequence: int) -> _Found:
    """Sort the records of one epoch; ``sequence`` is the last one drained before them."""
    found = _Found()
    for record in records:
        if record.sequence > sequence + 1:
            missing = record.sequence - sequence - 1
            found.gaps.append(
                Gap(
                    first_sequence=sequence + 1,
                    last_sequence=record.sequence - 1,
                    lost_count=missing,
                    reason="JOURNAL_CORRUPT",
                )
            )
        if record.lost_before:
            # What found no room has no number: the gap lies before this record.
            found.gaps.append(
                Gap(
                    first_sequence=record.sequence,
                    last_sequence=record.sequence,
                    lost_count=record.lost_before,
                    reason="JOURNAL_FULL",
                )
            )
        sequence = max(sequence, record.sequence)
        try:
            found.decisions.append(_decision(record))
        except (RequestError, DecodeError) as exc:
            found.poison.append(
                PoisonRecord(sequence=record.sequence, reason=str(exc), body=record.response)
            )
    return found


def _decision(record: box_pb.JournalRecord) -> DecisionRecord:
    request = decode_request(pb.EvaluateRequest.FromString(record.request))
    response = pb.EvaluateResponse.FromString(record.response)
    scored = box_pb.JournalRecord(scored=record.scored)
    return DecisionRecord(
        sequence=record.sequence,
        decision_id=response.decision_id,
        request_id=request.request_id,
        decided=instant_from_pb(record.decided_time, "decided_time"),
        request=record.request,
        response=record.response,
        request_sha256=record.request_sha256,
        facts=sale_facts(request.basket),
        scored=scored.SerializeToString(),
    )


def _unreadable(epoch: str, sequence: int) -> Batch:
    gap = Gap(
        first_sequence=sequence + 1,
        last_sequence=sequence + 1,
        lost_count=0,
        reason="JOURNAL_CORRUPT",
    )
    origin = Origin(source=Source.JOURNAL, workstation_id="", epoch=epoch)
    return Batch(origin=origin, gaps=(gap,))
