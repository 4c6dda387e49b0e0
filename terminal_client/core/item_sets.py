"""Sets of item identifiers, written compactly.

A document with hundreds of large sets lists every identifier once (``items``, sorted) and
writes a set as steps through that list: the first number is an index, each further one is the
distance to the next. A small set may as well be a list of identifiers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from terminal_client.core.reading import DocumentError

_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class ItemSets:
    """The identifiers that steps count in."""

    items: Sequence[str] = ()

    def read(self, value: object, path: str) -> frozenset[str]:
        """Read a set: ``["id", ...]`` or ``{"steps": [index, distance, ...]}``.

        Raises:
            DocumentError: it is neither, or a step leads outside ``items``.
        """
        if isinstance(value, list | tuple):
            return frozenset(_identifiers(value, path))
        steps = value.get("steps") if isinstance(value, Mapping) and len(value) == 1 else None
        if not isinstance(steps, list | tuple):
            raise DocumentError(path, "is no set of items", 'write ["id", ...] or {"steps": [...]}')
        if not all(type(step) is int and step >= 0 for step in steps) or 0 in steps[1:]:
            raise DocumentError(path, "has a bad step", "write an index, then distances above zero")
        if sum(steps) >= len(self.items) and steps:
            raise DocumentError(path, "steps outside the items", f"stay below {len(self.items)}")
        return frozenset([self.items[index] for index in accumulate(steps)])


def read_items(value: object, path: str) -> ItemSets:
    """Read the list of identifiers: sorted, each once.

    Raises:
        DocumentError: it is not.
    """
    if not isinstance(value, list | tuple):
        raise DocumentError(path, "is not a list", "write [...]")
    items = _identifiers(value, path)
    if any(first >= second for first, second in pairwise(items)):
        raise DocumentError(path, "is not sorted", "sort it and write each item once")
    return ItemSets(items)


def write_steps(positions: Mapping[str, int], chosen: Iterable[str]) -> dict[str, list[int]]:
    """Return the steps of ``chosen``; ``positions`` are the indices in the sorted ``items``.

    Raises:
        KeyError: an identifier is not in ``items``.
    """
    indices = sorted({positions[item] for item in chosen})
    return {"steps": [b - a for a, b in pairwise([0, *indices])]}


def _identifiers(value: Sequence[object], path: str) -> tuple[str, ...]:
    items = tuple(item for item in value if isinstance(item, str) and 0 < len(item) <= _LONGEST_ID)
    if len(items) != len(value):
        raise DocumentError(
            path, "holds what is no item", f"write strings of 1 to {_LONGEST_ID} characters"
        )
    return items
