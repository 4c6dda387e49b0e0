"""Keeps serving in step with what control knows: compares what it says it holds, and acts.

Owns the order after a start of serving: views first, then artifacts (rules before models),
then the answers of its earlier lives, which let it say ready. Nothing here remembers what
was sent: serving reports its cursors and digests, and a restart of either side is seen in
them. An order that fails is given again at the next look.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from cloud_sync.errors import HostRefusedError, HostUnavailableError, StoreUnavailableError
from cloud_sync.records import RedemptionChanges, StoredAnswer, StoreLogRow, StoreLogRows
from gateway.serving_link import ServingStatus
from terminal_client.core.modes import Mode

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
VIEW_REFRESH = timedelta(seconds=5)
"""How often an unchanged redemption view is confirmed, so that its age means something."""
MAX_ROWS = 5000
MAX_ANSWER_BYTES = 1024 * 1024


class Serving(Protocol):
    """The serving process, as ``ServingLink`` reaches it."""

    async def status(self) -> ServingStatus:
        """Ask how it is."""
        ...

    async def put_redemptions(self, found: RedemptionChanges, as_of: datetime) -> None:
        """Replace or extend its redemption view."""
        ...

    async def put_store_log(self, rows: Sequence[StoreLogRow], cursor: int, *, reset: bool) -> None:
        """Replace rows of its store log."""
        ...

    async def put_answers(self, answers: Sequence[StoredAnswer], *, complete: bool) -> None:
        """Give it answers of an earlier life."""
        ...

    async def force_mode(self, mode: Mode | None, reason: str) -> None:
        """Order a mode."""
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


class Artifacts(Protocol):
    """What should decide, as ``Activation`` knows it."""

    async def restore(self, serving: Mapping[tuple[str, str], str]) -> None:
        """Make a host that serves ``serving`` serve what should decide."""
        ...


class ServingDriver:
    """Looks at serving twice a second, and at once when something changed."""

    def __init__(
        self,
        *,
        serving: Serving,
        views: Views,
        artifacts: Artifacts,
        clock: Callable[[], datetime],
        keep: timedelta,
        cap_bytes: int,
        host_moved: Callable[[], None],
    ) -> None:
        """``host_moved`` is called when serving has come (back) and is in step."""
        self._serving = serving
        self._views = views
        self._artifacts = artifacts
        self._clock = clock
        self._keep = keep
        self._cap_bytes = cap_bytes
        self._host_moved = host_moved
        self._wake = asyncio.Event()
        self._epoch = ""
        self._forced: tuple[Mode | None, str] = (None, "")
        self._confirmed: datetime | None = None
        self.status: ServingStatus | None = None
        self.problem = "serving has not answered yet"

    def changed(self) -> None:
        """Something that serving should know has changed: look now."""
        self._wake.set()

    async def force_mode(self, mode: Mode | None, reason: str) -> None:
        """Order a mode until it is taken back; a restart of serving does not forget it.

        Raises: HostUnavailableError, HostRefusedError: it is not in force.
        """
        await self._serving.force_mode(mode, reason)
        self._forced = (mode, reason)
        self.changed()

    async def run(self) -> None:
        """Look and act until cancelled."""
        while True:
            self._wake.clear()
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()

    async def look(self) -> None:
        """Look once and bring serving into step; never raises for what it or the disk do."""
        try:
            status = await self._serving.status()
            fresh = status.epoch != self._epoch
            problem = await self._bring_into_step(status, fresh=fresh)
            self.status = await self._serving.status() if fresh else status
        except HostUnavailableError as exc:
            if self.status is not None:
                logger.warning("registers get no answers from this box: %s", exc)
            self.status, self.problem = None, str(exc)
            return
        if problem and problem != self.problem:
            logger.error("serving is not in step: %s", problem)
        self.problem = problem
        if fresh:
            logger.info("serving %s has what decides", status.epoch)
            self._epoch = status.epoch
            self._host_moved()

    async def _bring_into_step(self, status: ServingStatus, *, fresh: bool) -> str:
        """Take every step that is needed; return why one of them was not taken.

        A step that fails stops no other: with the disk gone, artifacts still come.

        Raises: HostUnavailableError: serving went away.
        """
        steps: list[Callable[[], Awaitable[None]]] = [
            partial(self._give_redemptions, status.redemption_cursor),
            partial(self._give_store_log, status.store_log_cursor),
        ]
        if fresh:
            steps.append(partial(self._artifacts.restore, status.serving))
            if self._forced[0] is not None:
                steps.append(partial(self._serving.force_mode, *self._forced))
        if not status.answers_loaded:
            steps.append(self._give_answers)
        problem = ""
        for step in steps:
            try:
                await step()
            except (HostRefusedError, StoreUnavailableError) as exc:
                problem = str(exc)
        return problem

    async def _give_redemptions(self, served: int) -> None:
        now = self._clock()
        found = await self._views.redemption_changes(served)
        quiet = not found.reset and not found.changes
        if quiet and self._confirmed is not None and now - self._confirmed < VIEW_REFRESH:
            return
        await self._serving.put_redemptions(found, now)
        while found.more:
            found = await self._views.redemption_changes(found.next_cursor)
            await self._serving.put_redemptions(found, now)
        self._confirmed = now

    async def _give_store_log(self, served: int) -> None:
        newest = await self._views.store_log_cursor()
        if served == newest:
            return
        # A cursor from before this database: start anew.
        after = served if served < newest else 0
        found = await self._views.store_log_rows(after)
        pieces = list(_pieces(found.rows, MAX_ROWS)) or [()]
        for number, rows in enumerate(pieces):
            last = number == len(pieces) - 1
            await self._serving.put_store_log(
                rows, found.cursor if last else after, reset=after == 0 and number == 0
            )

    async def _give_answers(self) -> None:
        answers = await self._views.recent_answers(self._clock() - self._keep, self._cap_bytes)
        for group in _groups(answers):
            await self._serving.put_answers(group, complete=False)
        await self._serving.put_answers((), complete=True)
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
