"""Why a terminal decided itself. Numbers equal ``posgate.v1.FallbackReason``."""

from __future__ import annotations

from enum import IntEnum


class FallbackReason(IntEnum):
    """Why; ``code`` is the notice in the answer."""

    UNREACHABLE = 1
    TIMEOUT = 2
    CERTIFICATE_REJECTED = 3
    BAD_ANSWER = 4
    ERROR = 5
    BREAKER_OPEN = 6

    @property
    def code(self) -> str:
        """The reason code that the answer carries as a notice."""
        return f"GATEWAY_{self.name}"
