"""The demo's machines: cloud, gateway and registers, each a process of its own.

Owns how they are started, told, killed and waited for. Everything listens on this machine
alone, and everything that was started ends with the block that started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import grpc

from posgate.box.v1 import serving_pb2, serving_pb2_grpc
from posgate.v1 import decision_pb2

_PATIENCE_S = 30.0
_PROBE_TIMEOUT_S = 1.0
_ROOT = Path(__file__).parents[3]


class DemoError(Exception):
    """The demo cannot go on; the text says what did not happen."""


class Process:
    """A child process in a group of its own, spoken to in lines."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    @classmethod
    async def start(cls, name: str, command: list[str], log: Path) -> Self:
        """Start ``command``; what it says on standard error goes to ``log``."""
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                cwd=_ROOT,
                env=environment(),
                start_new_session=True,
                limit=1024 * 1024,
            )
        return cls(name, process)

    async def say(self, line: str) -> None:
        """Send one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self, patience_s: float = _PATIENCE_S) -> str:
        """Return the next line. Raises: DemoError: none came."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(patience_s):
                line = await self._process.stdout.readline()
        except TimeoutError as error:
            raise DemoError(f"{self.name} said nothing for {patience_s:.0f} s") from error
        if not line:
            raise DemoError(f"{self.name} ended; see its log")
        return line.decode().strip()

    def hang_up(self) -> None:
        """Close its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def kill(self) -> None:
        """Kill the process and its children with SIGKILL, and wait until they are gone."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        """Ask the process to end; kill it if it does not."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await self._process.wait()
        await self.kill()


@asynccontextmanager
async def running(name: str, command: list[str], log: Path) -> AsyncIterator[Process]:
    """Run ``command`` for the length of the block."""
    process = await Process.start(name, command, log)
    try:
        yield process
    finally:
        await process.stop()


class Gateway:
    """The store's box: both its processes under their supervisor."""

    def __init__(self, config: Path, run_dir: Path, log: Path) -> None:
        self._command = [program("posgate"), "gateway", "run", "--config", str(config)]
        self._socket = run_dir / "serving.sock"
        self._log = log
        self._process: Process | None = None

    async def start(self) -> None:
        """Start the box; returns at once."""
        self._process = await Process.start("gateway", self._command, self._log)

    async def kill(self) -> None:
        """Kill every process of the box with SIGKILL."""
        if self._process is not None:
            await self._process.kill()
            self._process = None

    async def stop(self) -> None:
        """Shut the box down as its service manager would."""
        if self._process is not None:
            await self._process.stop()
            self._process = None

    async def status(self) -> serving_pb2.GetStatusResponse | None:
        """Return what the serving process says of itself; None: nothing."""
        async with grpc.aio.insecure_channel(f"unix:{self._socket}") as channel:
            stub = serving_pb2_grpc.ServingControlServiceStub(channel)
            try:
                return await stub.GetStatus(
                    serving_pb2.GetStatusRequest(), timeout=_PROBE_TIMEOUT_S
                )
            except grpc.aio.AioRpcError:
                return None

    async def wait_for(
        self, versions: Mapping[str, str], mode: decision_pb2.Mode.ValueType | None = None
    ) -> None:
        """Wait until these artifacts (name to version) decide, and ``mode`` is in force.

        Raises:
            DemoError: that did not happen in time.
        """
        seen: serving_pb2.GetStatusResponse | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while True:
                    seen = await self.status()
                    if seen is not None and _meets(seen, versions, mode):
                        return
                    await asyncio.sleep(0.05)
        raise DemoError(f"the gateway did not reach {dict(versions)}, mode {mode}: {seen}")


def _meets(
    seen: serving_pb2.GetStatusResponse,
    versions: Mapping[str, str],
    mode: decision_pb2.Mode.ValueType | None,
) -> bool:
    active = {
        artifact.name: artifact.version
        for artifact in seen.artifacts
        if artifact.state == serving_pb2.ARTIFACT_STATE_ACTIVE
    }
    return seen.ready and versions.items() <= active.items() and mode in (None, seen.mode)


class LaneProcess:
    """One register; orders and answers are JSON lines."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Give an order and return the answer."""
        await self._process.say(json.dumps(order))
        answer: dict[str, Any] = json.loads(await self._process.hear(patience_s=60.0))
        return answer

    async def close(self) -> None:
        """Let the register end by itself."""
        await self._process.say(json.dumps({"close": True}))
        self._process.hang_up()


def program(name: str) -> str:
    """Return the path of a command of this installation."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise DemoError(f"{name} is not installed; run make setup")
    return found


def environment() -> dict[str, str]:
    """Return the children's environment: this one, quiet, and importing from here."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", "GRPC_VERBOSITY": "NONE"}


def free_ports(count: int) -> list[int]:
    """Return ports that are free now. Somebody else may take them: the demo then says so."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
