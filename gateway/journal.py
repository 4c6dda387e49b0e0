"""The journal: a ring in memory that outlives the serving process.

A file in tmpfs, mapped by the serving process (one writer) and by control (one reader).
The writer never waits and never fails: a record that does not fit is lost and counted, and
the next one says how many were lost before it. The reader moves its cursor only by
``commit``, after the records are durable; until then they stay. A kill -9 of either side
at any moment leaves every record that was appended whole, and nothing else, to be read.

Layout: a header page (magic, capacity; the writer's state and the reader's cursor, each in
two checksummed slots written in turn, so one of them is always whole), then the ring.
Positions count bytes from the beginning of time; a record lies at ``position % capacity``,
8-byte aligned, never across the ring's end, as length, CRC-32, position, bytes.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from binascii import crc32
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from posgate.box.v1 import serving_pb2 as pb

_MAGIC = b"PGJRNL01"
_PAGE = 4096
_HEAD = struct.Struct("<8sQ")
_SLOT = struct.Struct("<QQQQI4x")
"""generation, three values, CRC-32 of the four."""
_SLOT_VALUES = struct.Struct("<QQQQ")
_WRITER_AT, _READER_AT = 512, 1024
_SLOT_STRIDE = 64
_RECORD = struct.Struct("<IIQ")
"""length, CRC-32 of position and bytes, position."""
_PAD = 0xFFFF_FFFF
_SMALLEST = 1 << 16


class JournalError(Exception):
    """The journal cannot be opened: locked by another writer, no room, or not a journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What a read found. Commit ``position`` once the records are durable.

    ``corrupt_bytes`` were skipped because their checksum was wrong: report them as a gap.
    """

    records: tuple[pb.JournalRecord, ...]
    position: int
    corrupt_bytes: int


class _Slots:
    """Three numbers kept in two slots: the newer whole one counts."""

    def __init__(self, memory: mmap.mmap, at: int) -> None:
        self._memory = memory
        self._at = at

    def read(self) -> tuple[int, int, int, int]:
        """Return (generation, a, b, c); zeros when nothing was ever stored."""
        found = (0, 0, 0, 0)
        for offset in (0, _SLOT_STRIDE):
            *values, checksum = _SLOT.unpack_from(self._memory, self._at + offset)
            generation, a, b, c = values
            if crc32(_SLOT_VALUES.pack(*values)) == checksum and generation > found[0]:
                found = (generation, a, b, c)
        return found

    def write(self, generation: int, a: int, b: int, c: int) -> None:
        """Store; the slot of the generation before stays as it was."""
        checksum = crc32(_SLOT_VALUES.pack(generation, a, b, c))
        offset = self._at + (generation & 1) * _SLOT_STRIDE
        _SLOT.pack_into(self._memory, offset, generation, a, b, c, checksum)


class JournalWriter:
    """Appends; one per file."""

    def __init__(self, memory: mmap.mmap, capacity: int, epoch: str) -> None:
        self._memory = memory
        self._capacity = capacity
        self._epoch = epoch
        self._state = _Slots(memory, _WRITER_AT)
        self._cursor = _Slots(memory, _READER_AT)
        self._generation, head, self._lost, self._told = self._state.read()
        # With a broken header the head is unknown: go on where the reader is.
        self._head = max(head, self._cursor.read()[1])
        self._sequence = 0

    @classmethod
    @contextmanager
    def open(cls, path: Path, size_bytes: int, epoch: str) -> Iterator[Self]:
        """Open or create the ring at ``path`` and hold it as its only writer.

        A ring of another size is replaced once it has been drained, at the next start; a
        file that is no journal is replaced at once.

        Raises:
            JournalError: another process writes to it, or memory for it is not to be had.
        """
        size_bytes = max(size_bytes, _SMALLEST) & ~(_PAGE - 1)
        descriptor, memory = _opened(path, _PAGE + size_bytes)
        try:
            with memory:
                yield cls(memory, len(memory) - _PAGE, epoch)
        finally:
            os.close(descriptor)

    @property
    def lost_count(self) -> int:
        """Decisions lost over the life of the file."""
        return self._lost

    @property
    def used_share(self) -> float:
        """How full the ring is, in ``[0, 1]``."""
        return (self._head - self._cursor.read()[1]) / self._capacity

    def append(self, record: pb.JournalRecord) -> bool:
        """Append ``record``; sets its epoch, sequence and lost_before.

        Returns:
            False: there was no room; the decision is counted as lost. Never waits, never
            raises for want of room.
        """
        record.epoch = self._epoch
        record.sequence = self._sequence + 1
        record.lost_before = self._lost - self._told
        payload = record.SerializeToString()
        start = self._room(len(payload))
        if start is None:
            self._lost += 1
            self._publish(self._head)
            return False
        at = _PAGE + start % self._capacity
        checksum = crc32(payload, crc32(start.to_bytes(8, "little")))
        self._memory[at + _RECORD.size : at + _RECORD.size + len(payload)] = payload
        _RECORD.pack_into(self._memory, at, len(payload), checksum, start)
        self._sequence += 1
        self._told = self._lost
        self._publish(start + _aligned(len(payload)))
        return True

    def _room(self, length: int) -> int | None:
        """Return the position for a record, after padding to the ring's start if needed."""
        needed, tail = _aligned(length), self._cursor.read()[1]
        left = self._capacity - self._head % self._capacity
        pad = left if left < needed else 0
        if needed > self._capacity or self._head + pad + needed - tail > self._capacity:
            return None
        if pad:
            _pad(self._memory, self._head, self._capacity)
        return self._head + pad

    def _publish(self, head: int) -> None:
        self._generation += 1
        self._head = head
        self._state.write(self._generation, head, self._lost, self._told)


class JournalReader:
    """Drains; one per file."""

    def __init__(self, memory: mmap.mmap, capacity: int, path: Path, inode: int) -> None:
        self._memory = memory
        self._capacity = capacity
        self._path = path
        self._inode = inode
        self._state = _Slots(memory, _WRITER_AT)
        self._cursor = _Slots(memory, _READER_AT)

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Map the ring at ``path``.

        Raises:
            FileNotFoundError: serving has not made it yet.
            JournalError: it is no journal, or still being made.
        """
        with path.open("r+b") as file:
            status = os.fstat(file.fileno())
            size = status.st_size
            if size < _PAGE + _SMALLEST:
                raise JournalError(f"{path} is too small to be a journal")
            with mmap.mmap(file.fileno(), size) as memory:
                magic, capacity = _HEAD.unpack_from(memory, 0)
                if magic != _MAGIC or capacity != size - _PAGE:
                    raise JournalError(f"{path} is no journal")
                yield cls(memory, capacity, path, status.st_ino)

    @property
    def replaced(self) -> bool:
        """Tell whether serving has put another ring at the path: drain this, open that."""
        return not _still_at(self._path, self._inode)

    @property
    def unreported_loss(self) -> int:
        """Decisions lost that no record has told of yet."""
        _, _, lost, told = self._state.read()
        return lost - told

    def read(self, most: int = 1024) -> Drained:
        """Return up to ``most`` records from the cursor on, without moving it."""
        head, position = self._state.read()[1], self._cursor.read()[1]
        records: list[pb.JournalRecord] = []
        corrupt_bytes = 0
        while position < head and len(records) < most:
            record, following = self._record(position, head)
            if following is None:
                # A length cannot be believed any more: everything up to the head is gone.
                corrupt_bytes += head - position
                position = head
                break
            if record is not None:
                records.append(record)
            position = following
        return Drained(records=tuple(records), position=position, corrupt_bytes=corrupt_bytes)

    def commit(self, position: int) -> None:
        """Free everything before ``position``, which came from ``read``."""
        generation, current, _, _ = self._cursor.read()
        if position > current:
            self._cursor.write(generation + 1, position, 0, 0)

    def _record(self, position: int, head: int) -> tuple[pb.JournalRecord | None, int | None]:
        """Return (record, next position); (None, next) for padding, (None, None) if corrupt."""
        at = _PAGE + position % self._capacity
        left = self._capacity - position % self._capacity
        if left < _RECORD.size:
            return None, position + left
        length, checksum, stated = _RECORD.unpack_from(self._memory, at)
        if length == _PAD and stated == position:
            return None, position + left
        following = position + _aligned(length)
        if stated != position or _aligned(length) > left or following > head:
            return None, None
        payload = self._memory[at + _RECORD.size : at + _RECORD.size + length]
        if crc32(payload, crc32(position.to_bytes(8, "little"))) != checksum:
            return None, None
        return pb.JournalRecord.FromString(payload), following


def _aligned(length: int) -> int:
    return (_RECORD.size + length + 7) & ~7


def _pad(memory: mmap.mmap, head: int, capacity: int) -> None:
    offset = head % capacity
    if capacity - offset >= _RECORD.size:
        _RECORD.pack_into(memory, _PAGE + offset, _PAD, 0, head)


def _locked(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(descriptor)
            raise JournalError(f"{path} has another writer: stop that serving process") from exc
        if _still_at(path, os.fstat(descriptor).st_ino):
            return descriptor
        os.close(descriptor)


def _still_at(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:
        return False


def _opened(path: Path, size: int) -> tuple[int, mmap.mmap]:
    """Return the locked file and its mapping: the one that is there, or a new one."""
    descriptor = _locked(path)
    there = os.fstat(descriptor).st_size
    if there >= _PAGE + _SMALLEST and _is_journal(descriptor, there):
        memory = mmap.mmap(descriptor, there)
        if there == size or _unread(memory):
            return descriptor, memory
        memory.close()
    os.close(descriptor)
    # A reader may have the old file mapped: cutting it would kill the reader (SIGBUS).
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = _locked(fresh)
    try:
        # All memory is taken now: a tmpfs that is full later would be a SIGBUS, too.
        os.posix_fallocate(descriptor, 0, size)
        memory = mmap.mmap(descriptor, size)
    except OSError as exc:
        os.close(descriptor)
        fresh.unlink(missing_ok=True)
        raise JournalError(f"{path}: no room for {size} bytes ({exc.strerror})") from exc
    _HEAD.pack_into(memory, 0, _MAGIC, size - _PAGE)
    fresh.replace(path)
    return descriptor, memory


def _is_journal(descriptor: int, size: int) -> bool:
    magic, capacity = _HEAD.unpack(os.pread(descriptor, _HEAD.size, 0))
    return bool(magic == _MAGIC and capacity == size - _PAGE)


def _unread(memory: mmap.mmap) -> bool:
    return _Slots(memory, _WRITER_AT).read()[1] > _Slots(memory, _READER_AT).read()[1]
