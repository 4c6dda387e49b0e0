"""What serving knows by control alone: redemptions, the store's log, answers of earlier lives.

Owns what is sent and in which pieces. Remembers no cursor: serving says what it has.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from cloud_sync.records import RedemptionChanges, StoredAnswer, StoreLogRow, StoreLogRows

logger = logging.getLogger(__name__)

VIEW_REFRESH = timedelta(seconds=5)
"""How often an unchanged redemption view is confirmed, so that its age means something."""
MAX_ROWS = 5000
MAX_ANSWER_BYTES = 1024 * 1024


class ViewHost(Protocol):
    """Who holds the views, as ``ServingLink`` reaches it.

    Each raises HostUnavailableError when it is away and HostRefusedError when it will not.
    """

    async def put_redemptions(self, found: RedemptionChanges, as_of: datetime) -> None:
        """Replace or extend its redemption view."""
        ...

    async def put_store_log(self, rows: Sequence[StoreLogRow], cursor: int, *, reset: bool) -> None:
        """Replace rows of its store log."""
        ...

    async def put_answers(self, answers: Sequence[StoredAnswer], *, complete: bool) -> None:
        """Give it answers of an earlier life."""
        ...


class Views(Protocol):
    """What control knows, as ``Archive`` reads it."""

    async def recent_answers(self, since: datetime, cap_bytes: int) -> Sequence[StoredAnswer]:
        """Return answers that may be asked for again."""
        ...

    async def redemption_changes(self, after: int) -> RedemptionChanges:
        """Return changes of the redemption view."""
        ...

    async def store_log_rows(self, after: int) -> StoreLogRows:
        """Return changed rows of the store's log."""
        ...

    async def store_log_cursor(self) -> int:
        """Return the cursor of the store's log."""
        ...


class ServingViews:
    """Gives views. Each step raises StoreUnavailableError, and what ``ViewHost`` raises."""

    def __init__(
        self,
        host: ViewHost,
        views: Views,
        drain: Callable[[], Awaitable[None]],
        clock: Callable[[], datetime],
        keep: timedelta,
        cap_bytes: int,
    ) -> None:
        """``drain`` empties serving's journal onto the disk; ``keep`` and ``cap_bytes`` bound
        the answers.
        """
        self._host = host
        self._views = views
        self._drain = drain
        self._clock = clock
        self._keep = keep
        self._cap_bytes = cap_bytes
        self._confirmed: datetime | None = None

    async def give_redemptions(self, served: int) -> None:
        """Give what changed after the cursor ``served``; confirm a quiet view now and then."""
        now = self._clock()
        found = await self._views.redemption_changes(served)
        quiet = not found.reset and not found.changes
        if quiet and self._confirmed is not None and now - self._confirmed < VIEW_REFRESH:
            return
        await self._host.put_redemptions(found, now)
        while found.more:
            found = await self._views.redemption_changes(found.next_cursor)
            await self._host.put_redemptions(found, now)
        self._confirmed = now

    async def give_store_log(self, served: int) -> None:
        """Give the rows changed after the cursor ``served``."""
        newest = await self._views.store_log_cursor()
        if served == newest:
            return
        # A cursor from before this database: start anew.
        after = served if served < newest else 0
        found = await self._views.store_log_rows(after)
        pieces = list(_pieces(found.rows, MAX_ROWS)) or [()]
        for number, rows in enumerate(pieces):
            last = number == len(pieces) - 1
            await self._host.put_store_log(
                rows, found.cursor if last else after, reset=after == 0 and number == 0
            )

    async def give_answers(self) -> None:
        """Give every answer that may be asked for again, and say that these were all."""
        # The last answers of its earlier life may lie in its journal still.
        await self._drain()
        answers = await self._views.recent_answers(self._clock() - self._keep, self._cap_bytes)
        for group in _groups(answers):
            await self._host.put_answers(group, complete=False)
        await self._host.put_answers((), complete=True)
        logger.info("gave serving %d answers of its earlier lives", len(answers))


def _pieces(rows: Sequence[StoreLogRow], most: int) -> Iterator[Sequence[StoreLogRow]]:
    for start in range(0, len(rows), most):
        yield rows[start : start + most]


def _groups(answers: Iterable[StoredAnswer]) -> Iterator[list[StoredAnswer]]:
    """Yield answers in order, in groups of about a mebibyte."""
    group: list[StoredAnswer] = []
    size_bytes = 0
    for answer in answers:
        group.append(answer)
        size_bytes += len(answer.response)
        if size_bytes >= MAX_ANSWER_BYTES:
            yield group
            group, size_bytes = [], 0
    if group:
        yield group
