"""The operations of rule expressions: how many arguments each takes and what type comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from terminal_client.core.expression_types import BOOL, INT, STRING, ValueType, item_type, join

# "none" is the type of what never is: an item of an empty literal.
_SCALARS = ("int", "bool", "string", "none")
_ADDABLE = ("int", "string", "list", "none")
Types = Sequence[ValueType]


def fits(given: ValueType, wanted: ValueType) -> bool:
    """Tell whether a value of type ``given`` can stand where ``wanted`` is asked for."""
    return join(given, wanted) == wanted


def _comparable(kind: ValueType) -> bool:
    return kind.kind != "message" and all(map(_comparable, kind.parameters))


def _ordered(types: Types) -> ValueType | None:
    joined = join(types[0], types[1])
    return BOOL if joined is not None and joined.kind in _SCALARS else None


def _equal(types: Types) -> ValueType | None:
    joined = join(types[0], types[1])
    return BOOL if joined is not None and _comparable(joined) else None


def _added(types: Types) -> ValueType | None:
    joined = join(types[0], types[1])
    return joined if joined is not None and joined.kind in _ADDABLE else None


def _contained(types: Types) -> ValueType | None:
    item, where = types
    element = item_type(where)
    if element is None or not _comparable(item):
        return None
    return BOOL if join(item, element) is not None else None


def _indexed(types: Types) -> ValueType | None:
    where, key = types
    if where.kind == "map":
        return where.parameters[1] if join(where.parameters[0], key) is not None else None
    return item_type(where) if fits(key, INT) else None


def _chosen(types: Types) -> ValueType | None:
    return join(types[1], types[2]) if fits(types[0], BOOL) else None


def _fixed(result: ValueType, *expected: ValueType) -> Callable[[Types], ValueType | None]:
    return lambda types: result if all(map(fits, types, expected)) else None


def _converted(result: ValueType, *sources: ValueType) -> Callable[[Types], ValueType | None]:
    return lambda types: result if any(fits(types[0], source) for source in sources) else None


def _sized(types: Types) -> ValueType | None:
    return INT if types[0] == STRING or item_type(types[0]) is not None else None


def _all_bool(types: Types) -> ValueType | None:
    return BOOL if all(fits(item, BOOL) for item in types) else None


# Operation -> number of arguments (0: two or more), result type from the arguments' types.
OPERATIONS: Final[Mapping[str, tuple[int, Callable[[Types], ValueType | None]]]] = {
    "and": (0, _all_bool),
    "or": (0, _all_bool),
    "not": (1, _fixed(BOOL, BOOL)),
    "if": (3, _chosen),
    "eq": (2, _equal),
    "ne": (2, _equal),
    "lt": (2, _ordered),
    "le": (2, _ordered),
    "gt": (2, _ordered),
    "ge": (2, _ordered),
    "add": (2, _added),
    "sub": (2, _fixed(INT, INT, INT)),
    "mul": (2, _fixed(INT, INT, INT)),
    "div": (2, _fixed(INT, INT, INT)),
    "mod": (2, _fixed(INT, INT, INT)),
    "neg": (1, _fixed(INT, INT)),
    "in": (2, _contained),
    "index": (2, _indexed),
    "size": (1, _sized),
    "contains": (2, _fixed(BOOL, STRING, STRING)),
    "starts_with": (2, _fixed(BOOL, STRING, STRING)),
    "ends_with": (2, _fixed(BOOL, STRING, STRING)),
    "int": (1, _converted(INT, STRING)),
    "string": (1, _converted(STRING, INT, BOOL)),
    "bool": (1, _converted(BOOL, STRING)),
}

# Comprehension -> number of bodies.
COMPREHENSIONS: Final[Mapping[str, int]] = {
    "all": 1,
    "exists": 1,
    "exists_one": 1,
    "filter": 1,
    "map": 1,
    "filter_map": 2,
}
