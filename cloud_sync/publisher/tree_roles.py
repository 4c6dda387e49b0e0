"""Who may sign what in a signed tree, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tuf.api.metadata import DelegatedRole, Delegations, Key, Root, Targets

from cloud_sync.publisher.keys import OFFLINE_ROLES, OFFLINE_THRESHOLD, KeyFolder

LIFETIMES = {"root": 365, "targets": 365, "snapshot": 7, "timestamp": 1}
"""Days until a role's document is past its date; ``DELEGATED_DAYS`` for all others. Past it,
stores keep what they have, and say so."""
DELEGATED_DAYS = 90


def first_root(keys: KeyFolder, now: datetime) -> Root:
    """Return the first root: two of three for root and targets, one key for the others."""
    root = Root(expires=expiry("root", now), consistent_snapshot=False)
    for role in ("root", "targets", "snapshot", "timestamp"):
        for signer in keys.signers(role):
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = OFFLINE_THRESHOLD if role in OFFLINE_ROLES else 1
    return root


def delegations(
    keys: KeyFolder, channels: Sequence[str], rings: Sequence[str], now: datetime
) -> Targets:
    """Return the top-level targets: one role per channel and per ring, each for its own paths."""
    paths = {channel: f"{channel}/*/*" for channel in channels} | {
        ring: f"rings/{ring}/*/*" for ring in rings
    }
    public: dict[str, Key] = {
        signer.public_key.keyid: signer.public_key
        for role in paths
        for signer in keys.signers(role)
    }
    roles = {
        role: DelegatedRole(
            name=role,
            keyids=[signer.public_key.keyid for signer in keys.signers(role)],
            threshold=1,
            terminating=True,
            paths=[pattern],
        )
        for role, pattern in paths.items()
    }
    return Targets(
        expires=expiry("targets", now), delegations=Delegations(keys=public, roles=roles)
    )


def expiry(role: str, now: datetime) -> datetime:
    """Return the last moment of a document of ``role`` that is signed at ``now``."""
    days = LIFETIMES.get(role, DELEGATED_DAYS)
    return now.astimezone(UTC).replace(microsecond=0) + timedelta(days=days)
