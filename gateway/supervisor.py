"""Keeps serving and control running: starts both, restarts each alone, stops them in order.

Owns the two child processes and nothing else. It never touches what they share: a ring and
two sockets that outlive either.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
STEADY_AFTER_S = 30.0
"""A child that ran this long has started well: the next wait is the first one again."""
STOP_S = 10.0
DRAIN_S = 0.5
"""How long control goes on after serving has ended, to drain its last decisions."""


@dataclass(slots=True, kw_only=True)
class Child:
    """One process: how to start it, and what became of it."""

    name: str
    command: Sequence[str]
    process: asyncio.subprocess.Process | None = None
    start_count: int = 0


def gateway_children(config: Path) -> tuple[Child, Child]:
    """Return serving and control of the gateway that ``config`` describes."""
    serving, control = (
        Child(
            name=role,
            command=(
                sys.executable,
                *("-P", "-m", "gateway.process", role),
                *("--supervised", "--config", str(config.absolute())),
            ),
        )
        for role in ("serving", "control")
    )
    return serving, control


class Supervisor:
    """Runs children until told to stop. The first child stops first."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Stop, once or more often."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until ``stop``; every child has ended when this returns."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                for child in self._children:
                    tasks.create_task(self._keep(child), name=f"keep-{child.name}")
                tasks.create_task(self._end(), name="stop")
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def _keep(self, child: Child) -> None:
        """Start ``child`` again and again, waiting longer while it ends early."""
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            begun_s = monotonic()
            ending = await self._once(child)
            if self._stopping.is_set():
                return
            if monotonic() - begun_s >= STEADY_AFTER_S:
                wait_s = FIRST_WAIT_S
            logger.error(
                "%s ended with %s; starting it again in %.1f s", child.name, ending, wait_s
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stopping.wait()
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _once(self, child: Child) -> str:
        """Run ``child`` once; return how it ended."""
        try:
            child.process = await asyncio.create_subprocess_exec(
                *child.command, stdin=asyncio.subprocess.DEVNULL
            )
        except OSError as exc:
            # No memory or no process table now: the other child must not go for it.
            return f"no start: {exc.strerror}"
        child.start_count += 1
        logger.info("%s runs as process %d", child.name, child.process.pid)
        if self._stopping.is_set():
            # Told to stop while it was being started: nobody else has seen it.
            await _terminate(child)
        return _ending(await child.process.wait())

    async def _end(self) -> None:
        """Once told to stop, end the children one after the other."""
        await self._stopping.wait()
        for number, child in enumerate(self._children):
            if number:
                await asyncio.sleep(DRAIN_S)
            await _terminate(child)


async def _terminate(child: Child) -> None:
    process = child.process
    if process is None or process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        logger.warning("%s does not stop: killing it", child.name)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _ending(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
