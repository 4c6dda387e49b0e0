"""The command's orders, on their way from the door's threads to control's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from cloud_sync.archive import Archive
from cloud_sync.records import StoredDecision
from gateway.serving_driver import OPERATOR_FORCED, ServingDriver
from terminal_client.core.modes import Mode

ORDER_S = 10.0

T = TypeVar("T")


class ControlOrders:
    """The command's orders, carried from the door's threads into the loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, archive: Archive, driver: ServingDriver
    ) -> None:
        self._loop = loop
        self._archive = archive
        self._driver = driver

    def decision(self, decision_id: str) -> StoredDecision | None:
        """As ``routes.Orders``."""
        return self._run(self._archive.decision(decision_id))

    def force_mode(self, mode: Mode | None) -> None:
        """As ``routes.Orders``."""
        self._run(self._driver.force_mode(mode, OPERATOR_FORCED))

    def _run(self, order: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(order, self._loop).result(ORDER_S)
