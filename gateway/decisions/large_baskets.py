"""Work on large requests happens in a thread, so that others' answers are not held up.

The deterministic engines cannot be cut while they run; their caller can stop waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

LARGE_BYTES = 24 * 1024
"""Requests above this (about 200 lines) are large."""
_MOST_WAITING = 4

P = ParamSpec("P")
T = TypeVar("T")


class LargeBaskets:
    """One thread; whoever finds it ``crowded`` should not wait for it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large-basket")
        self._waiting = 0

    @property
    def crowded(self) -> bool:
        """Tell whether enough is waiting already."""
        return self._waiting >= _MOST_WAITING

    async def run(
        self, timeout_s: float | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what ``work`` returns.

        Raises:
            TimeoutError: it did not end in time; it goes on unseen, or never begins.
        """
        self._waiting += 1
        loop = asyncio.get_running_loop()
        future = self._thread.submit(work, *args, **kwargs)
        future.add_done_callback(lambda _: self._ended(loop))
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(future)
        finally:
            future.cancel()

    def close(self) -> None:
        """Let go of the thread; harmless when repeated."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ended(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._left)

    def _left(self) -> None:
        self._waiting -= 1
