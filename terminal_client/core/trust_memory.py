"""What a machine has believed, and the refusal to go back behind it.

Owns the rule when a number may start again: only when the keys that signed it can no longer
sign. Whatever was signed before then fails its signatures, so nothing old can come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from terminal_client.core.trust_errors import RollbackError
from terminal_client.core.versions import precedence

NO_FLOOR = "0.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """The keys of a role, decoded and in hexadecimal, and how many of them must sign."""

    keys: frozenset[str]
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The newest things believed; none of the numbers may go down, nor any floor.

    ``signers`` by role: a role's numbers start again once too few of the keys that are
    remembered here may still sign it. That is how owners recover from a stolen key. ``floors``
    by release name never start again.
    """

    root_version: int = 0
    delegation_version: int = 0
    release_version: int = 0
    pointer_version: int = 0
    counter: int = 0
    signers: Mapping[str, Signers] = field(default_factory=dict)
    floors: Mapping[str, str] = field(default_factory=dict)

    def floor(self, name: str) -> str:
        """Return the lowest version of ``name`` that may be used."""
        return self.floors.get(name, NO_FLOOR)


def refuse_rollback(reached: Memory, memory: Memory, channel: str, ring: str) -> None:
    """Raise RollbackError when ``reached`` is older than ``memory``."""
    numbers = (
        ("root", "version", reached.root_version, memory.root_version),
        ("targets", "version", reached.delegation_version, memory.delegation_version),
        (channel, "version", reached.release_version, memory.release_version),
        (ring, "version", reached.pointer_version, memory.pointer_version),
        (ring, "counter", reached.counter, memory.counter),
    )
    for role, what, offered, remembered in numbers:
        if offered < remembered and not _replaced(role, reached, memory):
            raise RollbackError(role, what, offered, remembered)


def highest_floors(*floors: Mapping[str, str]) -> dict[str, str]:
    """Return the highest floor of each name."""
    highest: dict[str, str] = {}
    for each in floors:
        for name, floor in each.items():
            highest[name] = max(highest.get(name, NO_FLOOR), floor, key=precedence)
    return highest


def _replaced(role: str, reached: Memory, memory: Memory) -> bool:
    """Tell whether what the remembered keys have signed no longer passes for ``role``."""
    now, before = reached.signers.get(role), memory.signers.get(role)
    if now is None or before is None:
        return False
    return len(now.keys & before.keys) < now.threshold
