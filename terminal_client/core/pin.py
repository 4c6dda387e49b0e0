"""The basket pin: what keeps rules and mode steady inside one basket, without state.

A terminal echoes the bytes unread. They hold no secret and grant nothing: a forged pin
can only choose among rules that this machine has loaded anyway, or a lower mode.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from terminal_client.core.modes import Mode

_LAYOUT = struct.Struct(">BBq32s")
_VERSION = 1
_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class BasketPin:
    """The rules digest (``sha256:`` and 64 hexadecimal digits) and mode of a basket.

    ``issued`` is wall-clock time, never the basket's time of record: a replayed basket is old.
    """

    rules_digest: str
    mode: Mode
    issued: datetime

    def encode(self) -> bytes:
        """Return the opaque bytes (42 of them)."""
        digest = bytes.fromhex(self.rules_digest.removeprefix(_PREFIX))
        return _LAYOUT.pack(_VERSION, self.mode, int(self.issued.timestamp()), digest)

    def lapsed(self, now: datetime, lifetime: timedelta) -> bool:
        """Tell whether the pin no longer holds at ``now``, the wall clock of whoever asks.

        Issued elsewhere, it may seem to come from the future: the box's clock and the register's
        may differ by ``lifetime``.
        """
        return abs(now - self.issued) > lifetime


def read_pin(raw: bytes) -> BasketPin | None:
    """Return the pin in ``raw``, or None when there is none or it cannot be read."""
    if len(raw) != _LAYOUT.size:
        return None
    version, mode, issued_s, digest = _LAYOUT.unpack(raw)
    if version != _VERSION or mode not in {known.value for known in Mode}:
        return None
    try:
        issued = datetime.fromtimestamp(issued_s, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return BasketPin(rules_digest=_PREFIX + digest.hex(), mode=Mode(mode), issued=issued)
