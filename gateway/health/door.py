"""A small HTTP door: loopback for monitoring, a unix socket for the ``posgate`` command.

Built on ``http.server`` in a thread of its own: a few requests a minute, no dependency. A
request is bounded in time and size; a handler gets method, path and body, nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gateway.config import Address

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: HTTP status, type and bytes."""

    status: int
    body: bytes
    content_type: str = "application/json"


Handler = Callable[[str, bytes], Reply]
"""Takes the rest of the path after the route's prefix, and the body."""
Routes = Mapping[tuple[str, str], Handler]
"""(method, path) to handler; a path that ends in "/" takes everything below it."""


def json_reply(document: object, status: int = 200) -> Reply:
    """Return ``document`` as JSON."""
    return Reply(status=status, body=json.dumps(document, ensure_ascii=False).encode() + b"\n")


@contextmanager
def open_door(at: Address | Path, routes: Routes) -> Iterator[Address | Path]:
    """Answer at ``at`` until the end of the block; yields where, the port chosen included.

    Raises: OSError: the address is taken or may not be used.
    """
    server = _UnixServer(at, routes) if isinstance(at, Path) else _Server(at, routes)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.1}, name=f"door-{at}", daemon=True
    )
    thread.start()
    try:
        yield server.where
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, at: Address, routes: Routes) -> None:
        self.routes = routes
        if ":" in at.host:
            self.address_family = socket.AF_INET6
        super().__init__((at.host, at.port), _Requests)

    @property
    def where(self) -> Address | Path:
        host, port = self.server_address[:2]
        return Address(host=str(host), port=int(port))

    def handle_error(self, request: object, client_address: object) -> None:
        # The caller went away in the middle: nothing to do, and nothing to print.
        logger.debug("a caller at the door went away")

    def server_bind(self) -> None:
        # HTTPServer looks its own name up in the DNS here: offline that takes seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()


class _UnixServer(_Server):
    address_family = socket.AF_UNIX

    def __init__(self, at: Path, routes: Routes) -> None:
        self.routes = routes
        self._path = at
        at.parent.mkdir(parents=True, exist_ok=True)
        at.unlink(missing_ok=True)
        ThreadingHTTPServer.__init__(self, str(at), _Requests)  # type: ignore[arg-type]

    @property
    def where(self) -> Address | Path:
        return self._path

    def server_bind(self) -> None:
        before = os.umask(0o117)
        try:
            self.socket.bind(str(self._path))
        finally:
            os.umask(before)

    def server_close(self) -> None:
        super().server_close()
        self._path.unlink(missing_ok=True)


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "posgate"
    sys_version = ""
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        try:
            reply = self._reply(method, self.path.partition("?")[0])
        except Exception:
            logger.exception("a request to %s failed", self.path.partition("?")[0])
            reply = json_reply({"error": "the gateway failed; its log says why"}, 500)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(reply.body)

    def _reply(self, method: str, path: str) -> Reply:
        assert isinstance(self.server, _Server)
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            return json_reply({"error": f"send at most {MAX_BODY_BYTES} bytes"}, 413)
        body = self.rfile.read(int(length))
        for (wanted, prefix), handler in self.server.routes.items():
            below = prefix.endswith("/") and prefix != "/" and path.startswith(prefix)
            if wanted == method and (path == prefix or below):
                return handler(path[len(prefix) :], body)
        known = sorted(path for _, path in self.server.routes)
        return json_reply({"error": f"no such path; known: {', '.join(known)}"}, 404)

    def address_string(self) -> str:
        # A unix socket has no address to print.
        return "local"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        logger.debug(format, *args)
