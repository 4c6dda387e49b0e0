"""What the engine needs of the deep tier: one question, one attempt, a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.features.tables import Floats


class DeepFailedError(Exception):
    """No usable answer; ``reason`` is WAN_DOWN, WAN_SLOW or CLOUD_ERROR."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepQuestion:
    """Rows and keys for one model.

    ``rows`` is float32 ``(len(item_ids), width)``, width 0 for a cart. ``date`` is the
    store-local yyyymmdd. ``loyalty_token`` never leaves as it is: the tier sends a keyed
    hash of it, or nothing.
    """

    model: str
    rows: Floats
    item_ids: tuple[str, ...]
    store_id: str
    date: int
    loyalty_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepAnswer:
    """Scores: one per row, or one per recommended item of ``item_ids``, best first."""

    scores: Floats
    item_ids: tuple[str, ...] = ()
    model_version: str = ""


class DeepTier(Protocol):
    """The large models behind the WAN."""

    async def ask(self, question: DeepQuestion, timeout_s: float) -> DeepAnswer:
        """Return the answer; one attempt, never a retry.

        Raises:
            DeepFailedError: no usable answer inside ``timeout_s``, or not tried.
        """
        ...

    def usable(self, allotment_us: int) -> bool:
        """Tell whether it is reachable and its p95 inside ``allotment_us``."""
        ...

    def why_not(self, allotment_us: int) -> str:
        """Return the reason code while not ``usable``; empty while it is."""
        ...

    def expected_us(self, model: str) -> int:
        """Return the model's p95 lately, in microseconds; 0: not known."""
        ...


class NoDeepTier:
    """There is no cloud: nothing is asked, nothing is missed."""

    async def ask(self, question: DeepQuestion, timeout_s: float) -> DeepAnswer:
        """Raise: there is nobody to ask."""
        raise DeepFailedError("WAN_DOWN")

    def usable(self, allotment_us: int) -> bool:
        """Never."""
        return False

    def why_not(self, allotment_us: int) -> str:
        """WAN_DOWN."""
        return "WAN_DOWN"

    def expected_us(self, model: str) -> int:
        """Unknown."""
        return 0
