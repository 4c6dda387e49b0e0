"""What should decide on this box, as it lies on disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cloud_sync.durable_files import replace_file
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.trust import Release

logger = logging.getLogger(__name__)

_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """An artifact that should decide, as it did when it was flipped, and the one before it."""

    release: Release
    counter: int
    activated: datetime
    previous: Release | None


def read_active(path: Path) -> Sequence[Active]:
    """Return what is remembered at ``path``; what cannot be read is forgotten with a warning."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return ()
    try:
        fields = Fields(json.loads(raw), path.name)
        fields.integer("schema", _SCHEMA, _SCHEMA)
        entries = fields.items("active", _read_active)
        fields.close()
    except (DocumentError, ValueError) as exc:
        logger.warning("starting without remembered artifacts: %s", exc)
        return ()
    return entries


def write_active(path: Path, entries: Sequence[Active]) -> None:
    """Put ``entries`` on disk, whole. Raises: OSError."""
    document = {"schema": _SCHEMA, "active": [_write_active(one) for one in entries]}
    replace_file(path, json.dumps(document, indent=1).encode())


def _write_active(entry: Active) -> dict[str, object]:
    document: dict[str, object] = {
        "release": _write_release(entry.release),
        "counter": entry.counter,
        "activated": entry.activated.isoformat(),
    }
    if entry.previous is not None:
        document["previous"] = _write_release(entry.previous)
    return document


def _read_active(value: object, path: str) -> Active:
    fields = Fields(value, path)
    entry = Active(
        release=_read_release(fields.raw("release"), fields.at("release")),
        counter=fields.integer("counter", 1),
        activated=datetime.fromisoformat(fields.text("activated")),
        previous=(
            _read_release(fields.raw("previous"), fields.at("previous"))
            if fields.has("previous")
            else None
        ),
    )
    fields.close()
    return entry


def _write_release(release: Release) -> dict[str, object]:
    return {
        "channel": release.channel,
        "name": release.name,
        "version": release.version,
        "kind": release.kind,
        "digest": release.digest,
        "length": release.length,
    }


def _read_release(value: object, path: str) -> Release:
    fields = Fields(value, path)
    release = Release(
        channel=fields.text("channel"),
        name=fields.text("name"),
        version=fields.text("version"),
        kind=fields.text("kind"),
        digest=fields.text("digest"),
        length=fields.integer("length", 0),
    )
    fields.close()
    return release
