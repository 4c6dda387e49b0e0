"""The four modes: a pure function of what was observed, with hysteresis.

Owns the mode table's types and the transition function. Refuses to observe anything: the
gateway turns probes, canaries and freshness into ``Signals``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import IntEnum, StrEnum


class Tier(IntEnum):
    """What decides."""

    EDGE_MODEL = 1
    DEEP_MODEL = 2
    RULES = 3


class Mode(IntEnum):
    """What is usable, in falling order: a higher number is a lower mode."""

    FULL = 1
    CLOUD_ASSISTED = 2
    LOCAL_ONLY = 3
    EMERGENCY = 4


class ModeName(StrEnum):
    """The modes' names in the signed mode table."""

    FULL = "full"
    CLOUD_ASSISTED = "cloud_assisted"
    LOCAL_ONLY = "local_only"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What was observed at one moment.

    ``edge_usable``: loaded, canary passed, provider as asserted, not expired.
    ``cloud_usable``: reachable, and its p95 inside the cloud's allotment.
    ``forced``: an operator's or a drill's order, if there is one.
    """

    edge_usable: bool
    cloud_usable: bool
    forced: Mode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hysteresis:
    """How long a better state must hold before the mode rises; falling is at once."""

    rise_after: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeState:
    """The mode in force, and since when a better one has been possible (monotonic s)."""

    mode: Mode = Mode.EMERGENCY
    better_since_s: float | None = None


def observed_mode(signals: Signals) -> Mode:
    """Return the mode that ``signals`` alone call for."""
    if signals.forced is not None:
        return signals.forced
    if signals.edge_usable:
        return Mode.FULL if signals.cloud_usable else Mode.LOCAL_ONLY
    return Mode.CLOUD_ASSISTED if signals.cloud_usable else Mode.EMERGENCY


def step(state: ModeState, signals: Signals, now_s: float, hysteresis: Hysteresis) -> ModeState:
    """Return the next state. ``now_s`` is monotonic seconds.

    A worse or forced mode holds at once. A better one must be possible for
    ``rise_after`` without a break. A change that neither loses nor only gains a tier
    (local_only to cloud_assisted and back) counts as a fall: what is gone is gone now.
    """
    target = observed_mode(signals)
    if target == state.mode:
        return replace(state, better_since_s=None)
    if signals.forced is not None or not _pure_gain(state.mode, target):
        return ModeState(mode=target)
    since_s = now_s if state.better_since_s is None else state.better_since_s
    if now_s - since_s >= hysteresis.rise_after.total_seconds():
        return ModeState(mode=target)
    return replace(state, better_since_s=since_s)


def inside_basket(pinned: Mode, current: Mode) -> Mode:
    """Return the mode a pinned basket is decided in: it only moves down."""
    return lowest(pinned, current)


def lowest(first: Mode, second: Mode) -> Mode:
    """Return the mode that allows only what both allow."""
    edge = _edge_allowed(first) and _edge_allowed(second)
    cloud = _cloud_allowed(first) and _cloud_allowed(second)
    return observed_mode(Signals(edge_usable=edge, cloud_usable=cloud))


def _edge_allowed(mode: Mode) -> bool:
    return mode in (Mode.FULL, Mode.LOCAL_ONLY)


def _cloud_allowed(mode: Mode) -> bool:
    return mode in (Mode.FULL, Mode.CLOUD_ASSISTED)


def _pure_gain(before: Mode, after: Mode) -> bool:
    return _edge_allowed(after) >= _edge_allowed(before) and _cloud_allowed(
        after
    ) >= _cloud_allowed(before)
