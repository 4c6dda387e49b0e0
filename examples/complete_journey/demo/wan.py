"""The demo's WAN: a TCP relay that can be pulled out and plugged in again.

While it is out, what is connected hears nothing more (a black hole, the nastiest kind of
outage) and new connections are accepted and left silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

_CHUNK = 64 * 1024


class Wan:
    """One relayed door; ``port`` is where the store sees the cloud's ``target_port``."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._up = asyncio.Event()
        self._up.set()
        self._relays: set[asyncio.Task[None]] = set()
        self.port = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, target_port: int) -> AsyncIterator[Self]:
        """Relay a free local port to ``target_port`` until the end of the block."""
        wan = cls(target_port)
        server = await asyncio.start_server(wan._accept, "127.0.0.1", 0)
        wan.port = server.sockets[0].getsockname()[1]
        try:
            yield wan
        finally:
            server.close()
            wan._drop()

    def cut(self) -> None:
        """Pull the plug: nothing passes, nobody is told."""
        self._up.clear()

    def restore(self) -> None:
        """Plug in again. Connections of before the cut are gone, as after a real outage."""
        self._drop()
        self._up.set()

    def _drop(self) -> None:
        for relay in self._relays:
            relay.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            await self._up.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
            try:
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
            finally:
                back.close()
        writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK):
            await self._up.wait()
            sink.write(data)
            await sink.drain()
        sink.close()
