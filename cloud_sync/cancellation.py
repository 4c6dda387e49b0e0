"""Work that a cancelled caller must not leave half done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` and return its result; a cancelled caller goes when it is done.

    For short work only: however often the caller is cancelled, it waits.

    Raises: asyncio.CancelledError: the caller was cancelled. Else what ``work`` raises.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((task,))
        if not task.cancelled():
            # Asked for, so that nobody calls it forgotten: the caller's own end comes first.
            task.exception()
        raise
