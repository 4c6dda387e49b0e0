"""Everything that is looked at to say how the box is, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cloud_sync.activation import Slot
from cloud_sync.active_file import Active
from cloud_sync.mirror import CloudView
from cloud_sync.records import StreamStats
from gateway.serving_link import ServingStatus
from gateway.terminals import Terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView:
    """One channel of the mirror. ``expires``: the earliest date of its documents."""

    name: str
    seen_at: datetime | None
    problem: str
    expires: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What was seen at ``time``.

    ``serving`` is None while it does not answer; ``streams`` is None while the disk refuses;
    ``certificates`` are the ends of the certificates in use.
    """

    time: datetime
    store_id: str
    time_zone: str
    version: str
    serving: ServingStatus | None
    serving_problem: str
    journal_problem: str
    active: Mapping[Slot, Active]
    artifact_problems: Mapping[Slot, str]
    channels: tuple[ChannelView, ...]
    cloud: CloudView
    streams: tuple[StreamStats, ...] | None
    terminals: tuple[Terminal, ...]
    silent: frozenset[str]
    certificates: Mapping[str, datetime]
