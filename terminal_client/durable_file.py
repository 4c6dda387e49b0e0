"""Writing a file so that it is the old one or the new one, after a power cut too."""

from __future__ import annotations

import os
from pathlib import Path


def write_file(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path``: temporary file, fsync, rename, fsync of the folder.

    Raises: OSError: the disk refuses; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    rename(temporary, path)


def rename(source: Path, path: Path) -> None:
    """Rename ``source`` to ``path`` in the same folder, on disk when it returns."""
    source.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
