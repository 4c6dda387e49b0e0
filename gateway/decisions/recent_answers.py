"""Answers that may be asked for again: the idempotency of Evaluate.

Owns the index by request id and by decision id, in memory, within an age and a byte cap;
control keeps the durable copy and gives it back after a start. Two identical requests in
flight are computed once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cloud_sync.records import ANSWER_OVERHEAD_BYTES


class BodyChangedError(Exception):
    """The request id was used with another body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """One answer. ``current``: the decision as it stands now, if it has moved on."""

    request_id: str
    request_sha256: bytes
    response: bytes
    decision_id: str
    decided: datetime
    current: bytes = b""

    @property
    def cost_bytes(self) -> int:
        """What it counts for under the byte cap."""
        return len(self.response) + len(self.current) + ANSWER_OVERHEAD_BYTES


@dataclass(slots=True)
class _InFlight:
    request_sha256: bytes
    done: asyncio.Future[StoredAnswer]


class RecentAnswers:
    """Oldest go first when a cap is reached: those of earlier lives before this life's."""

    def __init__(self, keep: timedelta, cap_bytes: int, now: Callable[[], datetime]) -> None:
        self._keep = keep
        self._cap_bytes = cap_bytes
        self._now = now
        self._earlier: dict[str, StoredAnswer] = {}
        self._by_request: dict[str, StoredAnswer] = {}
        self._request_of: dict[str, str] = {}
        self._in_flight: dict[str, _InFlight] = {}
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._earlier) + len(self._by_request)

    @property
    def size_bytes(self) -> int:
        """What all answers count for."""
        return self._size_bytes

    def find(self, request_id: str, request_sha256: bytes) -> StoredAnswer | None:
        """Return the stored answer; raises BodyChangedError if the body was another."""
        stored = self._stored(request_id)
        if stored is None or self._now() - stored.decided > self._keep:
            return None
        if stored.request_sha256 != request_sha256:
            raise BodyChangedError
        return stored

    def computing(
        self, request_id: str, request_sha256: bytes
    ) -> asyncio.Future[StoredAnswer] | None:
        """Return the future of the same request in flight; raises BodyChangedError."""
        found = self._in_flight.get(request_id)
        if found is None:
            return None
        if found.request_sha256 != request_sha256:
            raise BodyChangedError
        return found.done

    def begin(self, request_id: str, request_sha256: bytes) -> None:
        """Announce that this request is being computed; ``finish`` or ``drop`` must follow."""
        done: asyncio.Future[StoredAnswer] = asyncio.get_running_loop().create_future()
        self._in_flight[request_id] = _InFlight(request_sha256, done)

    def finish(self, answer: StoredAnswer) -> None:
        """Store the answer and hand it to whoever waits for the same request."""
        self.put(answer)
        flight = self._in_flight.pop(answer.request_id, None)
        if flight is not None and not flight.done.done():
            flight.done.set_result(answer)

    def drop(self, request_id: str) -> None:
        """Give up computing; whoever waits computes it anew. Harmless after ``finish``."""
        flight = self._in_flight.pop(request_id, None)
        if flight is not None:
            flight.done.cancel()

    def put(self, answer: StoredAnswer) -> None:
        """Store an answer; one of the same request is replaced."""
        self._insert(self._by_request, answer)

    def restore(self, answer: StoredAnswer) -> None:
        """Store an answer of an earlier life, unless this life has one or is at it.

        Answers come oldest first. A second one of the same decision is how it stood later.
        """
        stored = self._stored(answer.request_id)
        if stored is not None:
            later = stored.decision_id == answer.decision_id and not stored.current
            if later and stored.response != answer.response:
                self.advance(answer.decision_id, answer.response)
        elif answer.request_id not in self._in_flight:
            self._insert(self._earlier, answer)

    def advance(self, decision_id: str, response: bytes) -> None:
        """Replace what GetDecision returns; the stored answer itself never changes."""
        request_id = self._request_of.get(decision_id)
        if request_id is None:
            return
        life = self._by_request if request_id in self._by_request else self._earlier
        moved = replace(life[request_id], current=response)
        self._size_bytes += moved.cost_bytes - life[request_id].cost_bytes
        life[request_id] = moved
        self._trim()

    def decision(self, decision_id: str) -> bytes | None:
        """Return the decision as it stands now; None: unknown or no longer kept."""
        stored = self._stored(self._request_of.get(decision_id, ""))
        if stored is None or self._now() - stored.decided > self._keep:
            return None
        return stored.current or stored.response

    def _stored(self, request_id: str) -> StoredAnswer | None:
        return self._by_request.get(request_id) or self._earlier.get(request_id)

    def _insert(self, life: dict[str, StoredAnswer], answer: StoredAnswer) -> None:
        self._forget(answer.request_id)
        life[answer.request_id] = answer
        self._request_of[answer.decision_id] = answer.request_id
        self._size_bytes += answer.cost_bytes
        self._trim()

    def _trim(self) -> None:
        oldest_kept = self._now() - self._keep
        for life in (self._earlier, self._by_request):
            while life:
                first = next(iter(life.values()))
                if self._size_bytes <= self._cap_bytes and first.decided >= oldest_kept:
                    break
                self._forget(first.request_id)

    def _forget(self, request_id: str) -> None:
        stored = self._by_request.pop(request_id, None) or self._earlier.pop(request_id, None)
        if stored is not None:
            self._size_bytes -= stored.cost_bytes
            if self._request_of.get(stored.decision_id) == request_id:
                del self._request_of[stored.decision_id]
