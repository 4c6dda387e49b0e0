"""Servers that are no gateways: they take a connection and speak nonsense."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from terminal_client.config import GatewayAddress

_CHUNK = bytes(range(256)) * 16
# An HTTP/2 SETTINGS frame whose length is a lie, then noise.
_LYING_FRAME = b"\xff\xff\xff\x04\x00\x00\x00\x00\x00" + _CHUNK
_GOOD_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class Nonsense(Enum):
    """What is spoken."""

    SILENCE = "takes connections and says nothing"
    PLAIN_NOISE = "noise instead of TLS"
    PLAIN_HTTP = "HTTP without TLS"
    HANG_UP = "hangs up at once"
    TLS_SILENCE = "TLS and then nothing"
    TLS_NOISE = "TLS and then noise"
    TLS_HTTP1 = "TLS and then HTTP/1.1"
    TLS_LYING_FRAME = "TLS and a frame that lies about its length"
    TLS_SETTINGS_THEN_NOISE = "TLS, good settings, then noise"


class GarbageServer:
    """Serves both doors on one port until it is left."""

    def __init__(self, nonsense: Nonsense, tls: Path) -> None:
        self._nonsense = nonsense
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls / "server.pem", tls / "server.key")
        self._context.set_alpn_protocols(["h2"])
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._threads: list[threading.Thread] = []
        target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.address = GatewayAddress(serving=target, control=target)

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in list(self._threads):
            thread.join(5)
        self._listener.close()

    def _spawn(self, target, *arguments) -> None:  # type: ignore[no-untyped-def]
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(0.5)
            if self._nonsense.name.startswith("TLS"):
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self._speak(secure)
            else:
                self._speak(connection)

    def _speak(self, connection: socket.socket) -> None:
        words = {
            Nonsense.PLAIN_NOISE: _CHUNK,
            Nonsense.PLAIN_HTTP: b"HTTP/1.1 400 Bad Request\r\n\r\n",
            Nonsense.TLS_NOISE: _CHUNK,
            Nonsense.TLS_HTTP1: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            Nonsense.TLS_LYING_FRAME: _LYING_FRAME,
            Nonsense.TLS_SETTINGS_THEN_NOISE: _GOOD_SETTINGS + _CHUNK,
        }
        if self._nonsense is Nonsense.HANG_UP:
            return
        connection.sendall(words.get(self._nonsense, b""))
        while not self._stop.is_set():
            try:
                if not connection.recv(65_536):
                    return
            except TimeoutError:
                continue
