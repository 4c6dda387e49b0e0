"""Which one-use offers are used up in this store, as far as this machine knows.

A view is read-only for a decision: evaluating never redeems, an outcome does. Its age is
carried along, because what it cannot know is accepted unverified under signed limits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionView:
    """Keys redeemed and not released, complete up to ``as_of`` (None: never synced)."""

    keys: Set[str] = field(default_factory=frozenset)
    as_of: datetime | None = None

    def redeemed(self, key: str) -> bool:
        """Tell whether ``key`` is used up."""
        return key in self.keys


def redemption_key(*parts: str) -> str:
    """Return the opaque key of a one-use offer: 32 hexadecimal digits.

    Parts (campaign, coupon, household) are length-prefixed before hashing, so that no
    two lists of parts collide by concatenation.
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode(errors="surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()[:32]
