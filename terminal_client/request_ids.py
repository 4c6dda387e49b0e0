"""Request ids: UUID version 7, so that they sort by the time they were made."""

from __future__ import annotations

import os
import time
import uuid


def new_request_id() -> str:
    """Return a fresh UUIDv7 (RFC 9562) as text."""
    millis = time.time_ns() // 1_000_000 & (1 << 48) - 1
    value = millis << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
