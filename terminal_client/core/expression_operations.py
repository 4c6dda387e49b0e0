"""What the operations of rule expressions do with values: CEL's arithmetic and conversions.

Python's integers do not overflow, its division rounds down and its conversions accept more; here
they do as CEL's. Every function returns a value or raises `ExpressionError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from terminal_client.core.expression_types import INT64_MAX, INT64_MIN, ValueType

MAX_STRING_CHARS: Final = 4_096
"""The longest text an expression may build, in code points."""


class ErrorCode(StrEnum):
    """Why an expression has no value."""

    OVERFLOW = "OVERFLOW"
    DIVIDE_BY_ZERO = "DIVIDE_BY_ZERO"
    NO_SUCH_KEY = "NO_SUCH_KEY"
    INDEX_OUT_OF_RANGE = "INDEX_OUT_OF_RANGE"
    INVALID_CONVERSION = "INVALID_CONVERSION"
    STRING_TOO_LONG = "STRING_TOO_LONG"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"


class ExpressionError(Exception):
    """An expression has no value for this input; ``code`` says why."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.value)
        self.code = code


def collection(kind: ValueType) -> bool:
    """Tell whether a value of this type has items."""
    return kind.kind in ("list", "map")


def weigher(kind: ValueType) -> Callable[[Any], int]:
    """Return what counts the items of a collection of type ``kind``, nested ones too."""
    return _items if any(map(collection, kind.parameters)) else len


def _items(value: Any) -> int:
    if isinstance(value, Mapping):
        return len(value) + sum(map(_items, value.values()))
    return len(value) + sum(map(_items, value)) if isinstance(value, tuple) else 0


def int64(value: int) -> int:
    """Return ``value``. Raises: ExpressionError: OVERFLOW, outside int64."""
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise ExpressionError(ErrorCode.OVERFLOW)


def add(left: Any, right: Any) -> Any:
    """Add integers, or join two texts or lists. Raises: ExpressionError: too large or too long."""
    total = left + right
    if isinstance(total, int):
        return int64(total)
    if isinstance(total, str) and len(total) > MAX_STRING_CHARS:
        raise ExpressionError(ErrorCode.STRING_TOO_LONG)
    return total


def div(left: int, right: int) -> int:
    """Truncate toward zero; Python's ``//`` rounds down."""
    if right == 0:
        raise ExpressionError(ErrorCode.DIVIDE_BY_ZERO)
    quotient = abs(left) // abs(right)
    return int64(quotient if (left < 0) == (right < 0) else -quotient)


def mod(left: int, right: int) -> int:
    """The remainder of `div`: it has the sign of ``left``."""
    return left - right * div(left, right)


def index(where: Any, key: Any) -> Any:
    """Return a list's item (from 0) or a map's value. Raises: ExpressionError: there is none."""
    if isinstance(where, Mapping):
        try:
            return where[key]
        except KeyError:
            raise ExpressionError(ErrorCode.NO_SUCH_KEY) from None
    if 0 <= key < len(where):
        return where[key]
    raise ExpressionError(ErrorCode.INDEX_OUT_OF_RANGE)


_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?)0*([0-9]{1,19})[ \t\n\v\f\r]*")
_TRUTHS: Final = {**dict.fromkeys(("1", "t", "true", "True", "TRUE"), True)}
_TRUTHS.update(dict.fromkeys(("0", "f", "false", "False", "FALSE"), False))


def to_int(text: str) -> int:
    """Read a decimal int64: ASCII digits, a sign, ASCII white space around.

    Raises:
        ExpressionError: INVALID_CONVERSION.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ExpressionError(ErrorCode.INVALID_CONVERSION)
    value = int(found[1] + found[2])
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise ExpressionError(ErrorCode.INVALID_CONVERSION)


def to_bool(text: str) -> bool:
    """Read one of the ten words that CEL knows. Raises: ExpressionError: INVALID_CONVERSION."""
    if text in _TRUTHS:
        return _TRUTHS[text]
    raise ExpressionError(ErrorCode.INVALID_CONVERSION)


def to_string(value: int | bool) -> str:
    """Write a bool as true or false, an integer (or enum) in decimal."""
    return ("true" if value else "false") if isinstance(value, bool) else str(int(value))
