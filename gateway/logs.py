"""How a process logs: to standard error, one line each, as text or as JSON.

Both forms carry the same facts. Nothing here sees a basket: what is logged is chosen where
it is logged.
"""

from __future__ import annotations

import json
import logging
import time

from gateway.config import LogConfig, LogFormat


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, process, logger, message, error."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line = {
            "time": _utc(record),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """One line for people."""

    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {process} %(name)s: %(message)s")

    def formatTime(  # noqa: N802 - the library's name
        self, record: logging.LogRecord, datefmt: str | None = None
    ) -> str:
        """Return UTC with milliseconds."""
        del datefmt
        return _utc(record)


def configure(config: LogConfig, process: str) -> None:
    """Set up the root logger of this process, which calls itself ``process``."""
    handler = logging.StreamHandler()
    formatter = JsonLines if config.format is LogFormat.JSON else TextLines
    handler.setFormatter(formatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level)


def _utc(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"
