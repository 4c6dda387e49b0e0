"""Rendering /metrics: both processes' multi-process files, added up.

Owns the files of processes that have ended: their gauges go away, their counters are folded
into one file, so that a process that restarts all night neither loses counts nor fills the
memory. One renderer at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SUMMED = ("counter", "histogram", "summary")
_FOLDED = "ended"
_LIMIT = 4
"""Ended processes whose counter files may lie about before they are folded."""


class Exposition:
    """One folder of metric files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def render(self) -> bytes:
        """Return everything in the text format. Blocking: call it outside the loop."""
        with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._bury()
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call]
            return generate_latest(registry)

    def _bury(self) -> None:
        ended = [path for path in self._folder.glob("*.db") if _ended(path)]
        for path in ended:
            if path.name.startswith("gauge"):
                path.unlink(missing_ok=True)
        for kind in _SUMMED:
            files = [path for path in ended if path.name.startswith(f"{kind}_")]
            if len(files) > _LIMIT:
                self._fold(kind, files)

    def _fold(self, kind: str, files: list[Path]) -> None:
        """Add ``files`` to the one that stands for every ended process."""
        folded = self._folder / f"{kind}_{_FOLDED}.db"
        sums: dict[str, float] = {}
        for path in (folded, *files):
            for key, value in _values(path):
                sums[key] = sums.get(key, 0.0) + value
        # Not "*.db" until it is whole: nobody reads it before that.
        fresh = folded.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        target = MmapedDict(str(fresh))  # type: ignore[no-untyped-call]
        for key, value in sums.items():
            target.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
        target.close()  # type: ignore[no-untyped-call]
        fresh.replace(folded)
        for path in files:
            path.unlink(missing_ok=True)


def _values(path: Path) -> Iterator[tuple[str, float]]:
    with suppress(FileNotFoundError):
        for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
            yield key, value


def _ended(path: Path) -> bool:
    """Tell whether the process that wrote the file, named by its end, is gone."""
    text = path.stem.rpartition("_")[2]
    if not text.isdigit():
        return False
    try:
        os.kill(int(text), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
