"""Keeps serving in step with what control knows: compares what it says it holds, and acts.

Owns the order after a start of serving: rules, without which it decides nothing; then the
answers of its earlier lives, once its journal holds none of them any more, which let it say
ready; then the views; last models and features, which take long and keep nothing else waiting.
Nothing here remembers what was sent: serving reports its cursors and digests, and a restart of
either side is seen in them. An order that fails is given again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from cloud_sync.errors import HostRefusedError, HostUnavailableError, StoreUnavailableError
from gateway.serving_link import ServingStatus
from gateway.serving_views import ServingViews, ViewHost, Views
from terminal_client.core.modes import Mode

logger = logging.getLogger(__name__)

OPERATOR_FORCED = "OPERATOR_FORCED"
LOOK_EVERY_S = 0.5
ARTIFACT_PATIENCE = (timedelta(seconds=2), timedelta(minutes=5))
"""How long until an artifact that serving refused is offered again: first, and at most."""


class Serving(ViewHost, Protocol):
    """The serving process, as ``ServingLink`` reaches it."""

    async def status(self) -> ServingStatus:
        """Ask how it is."""
        ...

    async def force_mode(self, mode: Mode | None, reason: str) -> None:
        """Order a mode."""
        ...


class Artifacts(Protocol):
    """What should decide, as ``Activation`` knows it."""

    async def restore(
        self, serving: Mapping[tuple[str, str], str], *, rules_only: bool = False
    ) -> bool:
        """Make a host that serves ``serving`` serve what should decide; False: not all of it."""
        ...


class Order(Protocol):
    """The mode an operator ordered, on disk, as ``OrderedMode`` keeps it. Blocking."""

    def read(self) -> tuple[Mode, str] | None:
        """Return mode and reason; None: none is ordered."""
        ...

    def write(self, ordered: tuple[Mode, str] | None) -> None:
        """Put it on disk. Raises: OSError."""
        ...


class ServingDriver:
    """Looks at serving twice a second, and at once when something changed."""

    def __init__(
        self,
        *,
        serving: Serving,
        views: Views,
        artifacts: Artifacts,
        order: Order,
        drain: Callable[[], Awaitable[None]],
        clock: Callable[[], datetime],
        keep: timedelta,
        cap_bytes: int,
        host_moved: Callable[[], None],
    ) -> None:
        """``drain`` empties serving's journal onto the disk; it raises StoreUnavailableError.

        ``host_moved`` is called when serving has come (back) and has all but models and features.
        """
        self._serving = serving
        self._views = ServingViews(serving, views, drain, clock, keep, cap_bytes)
        self._artifacts = artifacts
        self._order = order
        self._host_moved = host_moved
        self._wake = asyncio.Event()
        self._staging = asyncio.Event()
        # An order read from disk must not reach serving after one that replaced it.
        self._ordering = asyncio.Lock()
        self._epoch = ""
        self.status: ServingStatus | None = None
        self.problem = "serving has not answered yet"

    def changed(self) -> None:
        """Something that serving should know has changed: look now."""
        self._wake.set()

    async def force_mode(self, mode: Mode | None, reason: str) -> None:
        """Order a mode until it is taken back; no restart forgets it.

        Raises:
            HostUnavailableError, HostRefusedError: it is not in force.
            StoreUnavailableError: it is, until serving or control restarts.
        """
        async with self._ordering:
            await self._serving.force_mode(mode, reason)
            try:
                await asyncio.to_thread(self._order.write, None if mode is None else (mode, reason))
            except OSError as exc:
                raise StoreUnavailableError(
                    f"in force until a restart: the disk refuses: {exc.strerror}"
                ) from exc
        self.changed()

    async def run(self) -> None:
        """Look and act until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_for_ever(), name="serving-look")
            tasks.create_task(self._stage_for_ever(), name="serving-artifacts")

    async def _look_for_ever(self) -> None:
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
            self._staging.set()
            self._host_moved()

    async def restore(self, *, rules_only: bool = False) -> bool:
        """Give serving the artifacts that should decide; False: not all, come again later."""
        try:
            status = await self._serving.status()
            return await self._artifacts.restore(status.serving, rules_only=rules_only)
        except HostUnavailableError as exc:
            logger.debug("artifacts wait for serving: %s", exc)
        except Exception:
            # One artifact's defect must not end what keeps the others and the views coming.
            logger.exception("artifacts could not be given to serving")
        return False

    async def _stage_for_ever(self) -> None:
        """Restore after each start of serving, and again while something is missing."""
        shortest, longest = (span.total_seconds() for span in ARTIFACT_PATIENCE)
        wait_s: float | None = None
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await self._staging.wait()
            except TimeoutError:
                pass
            else:
                self._staging.clear()
                wait_s = None
            if await self.restore():
                wait_s = None
            else:
                wait_s = shortest if wait_s is None else min(wait_s * 2, longest)

    async def _bring_into_step(self, status: ServingStatus, *, fresh: bool) -> str:
        """Take every step that is needed; return why one of them was not taken.

        A step that fails stops no other: with the disk gone, artifacts still come.

        Raises: HostUnavailableError: serving went away.
        """
        steps: list[Callable[[], Awaitable[object]]] = []
        if fresh:
            steps += [
                partial(self._give_order, status.degrade_reasons),
                partial(self.restore, rules_only=True),
            ]
        if not status.answers_loaded:
            steps.append(self._views.give_answers)
        steps += [
            partial(self._views.give_redemptions, status.redemption_cursor),
            partial(self._views.give_store_log, status.store_log_cursor),
        ]
        problem = ""
        for step in steps:
            try:
                await step()
            except (HostRefusedError, StoreUnavailableError) as exc:
                problem = str(exc)
        return problem

    async def _give_order(self, reasons: Sequence[str]) -> None:
        """Order what is ordered; take back what serving still obeys and nobody orders."""
        async with self._ordering:
            ordered = await asyncio.to_thread(self._order.read)
            if ordered is not None:
                await self._serving.force_mode(*ordered)
            elif OPERATOR_FORCED in reasons:
                await self._serving.force_mode(None, "")
