"""Asking the control process over its unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 15.0


class UnreachableError(Exception):
    """Nobody answers at the socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP status and its JSON document."""

    status: int
    document: dict[str, object]

    @property
    def error(self) -> str:
        """What control says went wrong."""
        return str(self.document.get("error", f"status {self.status}"))


def ask(path: Path, method: str, target: str, document: object = None) -> Answer:
    """Ask once.

    Raises: UnreachableError: no answer, or none that can be read.
    """
    connection = _UnixConnection(path)
    try:
        body = None if document is None else json.dumps(document).encode()
        connection.request(method, target, body)
        response = connection.getresponse()
        found = json.loads(response.read())
        if not isinstance(found, dict):
            raise UnreachableError(f"{path}: the answer is not understood")
        return Answer(status=response.status, document=found)
    except (OSError, http.client.HTTPException, ValueError) as exc:
        told = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise UnreachableError(f"{path}: {told}") from exc
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
