"""The mode an operator has ordered, on disk: it holds until it is taken back.

Owns one small file. What cannot be read is no order: a box left to itself finds its own mode.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from cloud_sync.durable_files import replace_file
from terminal_client.core.modes import Mode
from terminal_client.core.reading import DocumentError, Fields

logger = logging.getLogger(__name__)

_SCHEMA = 1


class OrderedMode:
    """The order at one path. Blocking: call it in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Mode, str] | None:
        """Return mode and reason; None: none is ordered, or it cannot be read. Never raises."""
        try:
            fields = Fields(json.loads(self._path.read_bytes()), self._path.name)
            fields.integer("schema", _SCHEMA, _SCHEMA)
            ordered = Mode[fields.text("mode")], fields.text("reason")
            fields.close()
        except FileNotFoundError:
            return None
        except (OSError, DocumentError, ValueError, KeyError) as exc:
            logger.warning("no mode is ordered, %s cannot be read: %s", self._path, exc)
            return None
        return ordered

    def write(self, ordered: tuple[Mode, str] | None) -> None:
        """Put the order on disk; None takes it back. Raises: OSError."""
        if ordered is None:
            self._path.unlink(missing_ok=True)
            return
        mode, reason = ordered
        document = {"schema": _SCHEMA, "mode": mode.name, "reason": reason}
        replace_file(self._path, json.dumps(document).encode())
