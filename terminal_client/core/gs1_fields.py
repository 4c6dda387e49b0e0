"""Walking a GS1 element string field by field: what the coupon parsers share.

A field is data (length, length indicator, allowed digits); the cursor reads fields in order
and keeps the first problem instead of raising.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

_DIGITS = frozenset("0123456789")
_FNC1 = "\x1d"


@dataclass(frozen=True, slots=True)
class Malformed:
    """The string is no such coupon: ``position`` counts from 0 in the string as given."""

    position: int
    problem: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``lengths`` by its length indicator, or one length without (key "").

    ``allowed``: the digits it may be, empty for any. ``dated``: it is a yymmdd.
    """

    name: str
    lengths: Mapping[str, int]
    allowed: str = ""
    dated: bool = False


def fixed(name: str, length: int, allowed: str = "", dated: bool = False) -> Field:
    """Return a field of ``length`` digits."""
    return Field(name, {"": length}, allowed, dated)


def indicated(name: str, indicators: str, plus: int, none: str = "") -> Field:
    """Return a field whose length is its leading digit plus ``plus``.

    ``indicators`` are the digits allowed; those in ``none`` mean that nothing follows.
    """
    lengths = {digit: int(digit) + plus for digit in indicators}
    return Field(name, {**lengths, **dict.fromkeys(none, 0)})


class Cursor:
    """Walks a string by fields; the first problem stays, what follows reads as zeros."""

    def __init__(self, data: str, position: int) -> None:
        self.data = data
        self.position = position
        self.begin: dict[str, int] = {}
        self.malformed: Malformed | None = None

    @classmethod
    def over(cls, data: str, ai: str, *, ambiguous: bool = False) -> Cursor:
        """Return a cursor behind symbology identifier, leading FNC1 and AI, if present."""
        position = 3 if data.startswith("]") else 0
        prefixed = position > 0 or data.startswith(_FNC1)
        if data.startswith(_FNC1, position):
            position += len(_FNC1)
        bracketed = f"({ai})"
        if data.startswith(bracketed, position):
            position += len(bracketed)
        elif data.startswith(ai, position) and (prefixed or not ambiguous):
            position += len(ai)
        cursor = cls(data, position)
        for index in range(position, len(data)):
            if data[index] not in _DIGITS:
                cursor.fail("is not a digit", index)
                break
        return cursor

    def left(self) -> int:
        """Return how many characters are left."""
        return max(0, len(self.data) - self.position)

    def fail(self, problem: str, position: int) -> None:
        """Remember the first problem."""
        if self.malformed is None:
            self.malformed = Malformed(min(position, len(self.data)), problem)

    def at(self, indicator: str) -> bool:
        """Step over an optional field's indicator if it is next."""
        if self.malformed is not None or not self.data.startswith(indicator, self.position):
            return False
        self.position += 1
        return True

    def read(self, fields: Sequence[Field]) -> dict[str, str]:
        """Read ``fields`` in order, up to the first problem."""
        found: dict[str, str] = {}
        for field in fields:
            if self.malformed is not None:
                break
            found[field.name] = self._one(field)
        return found

    def _one(self, field: Field) -> str:
        length = field.lengths.get("")
        if length is None:
            indicator = self.data[self.position : self.position + 1]
            if indicator not in field.lengths:
                self.fail(f"{field.name}: no such length indicator", self.position)
                return ""
            self.position += 1
            length = field.lengths[indicator]
        text = self.data[self.position : self.position + length]
        self.begin[field.name] = self.position
        if len(text) < length:
            self.fail(f"{field.name}: is cut off", len(self.data))
        elif field.allowed and text not in field.allowed:
            self.fail(f"{field.name}: {text} is not allowed", self.position)
        elif field.dated and not _dated(text):
            self.fail(f"{field.name}: {text} is no date", self.position)
        self.position += length
        return text

    def end(self) -> None:
        """Refuse what is left."""
        if self.position < len(self.data):
            self.fail("is longer than its fields", self.position)


def _dated(yymmdd: str) -> bool:
    try:
        date(2000 + int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:]))
    except ValueError:
        return False
    return True
