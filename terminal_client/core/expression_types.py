"""The types of rule expressions, and the schema of the objects that rules read.

The schema is taken from the core's own dataclasses, so that a rule cannot be accepted for a field
that the objects do not have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

# What a literal, a list's element or a field holds while it is evaluated.
Value = object


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type: ``kind`` is int | bool | string | list | map | message | none.

    ``parameters`` holds a list's element type, or a map's key and value type; ``message`` names
    the message. ``none`` is the element type of an empty literal: no value has it, so that it
    fits wherever a type is asked for.
    """

    kind: str
    parameters: tuple[ValueType, ...] = ()
    message: str = ""

    def __str__(self) -> str:
        if self.parameters:
            return f"{self.kind}({', '.join(map(str, self.parameters))})"
        return self.message or self.kind


INT: Final = ValueType("int")
BOOL: Final = ValueType("bool")
STRING: Final = ValueType("string")
NONE: Final = ValueType("none")


def list_of(element: ValueType) -> ValueType:
    """Return the type of a list of ``element``."""
    return ValueType("list", (element,))


def map_of(key: ValueType, value: ValueType) -> ValueType:
    """Return the type of a map from ``key`` (int or string) to ``value``."""
    return ValueType("map", (key, value))


def message(name: str) -> ValueType:
    """Return the type of the message called ``name`` in the schema."""
    return ValueType("message", (), name)


@dataclass(frozen=True, slots=True)
class Field:
    """A message's field.

    An ``optional`` one may be None in the object: it then reads as its type's default (0, false,
    "", empty, or a message of defaults), and ``has`` is false.
    """

    type: ValueType
    optional: bool = False


NO_FIELD: Final = Field(NONE)
"""The field of a node that reads none."""


# Message name -> field name -> field.
Schema = Mapping[str, Mapping[str, Field]]


def join(left: ValueType, right: ValueType) -> ValueType | None:
    """Return the type that values of both types have, or None."""
    if left == right or right == NONE:
        return left
    if left == NONE:
        return right
    if left.kind != right.kind or not left.parameters:
        return None
    joined = tuple(map(join, left.parameters, right.parameters))
    kept = tuple(item for item in joined if item is not None)
    return ValueType(left.kind, kept) if len(kept) == len(joined) else None


def item_type(kind: ValueType) -> ValueType | None:
    """Return the type of a list's items or a map's keys; None for what has neither."""
    if kind.kind in ("list", "map"):
        return kind.parameters[0]
    return kind if kind == NONE else None


def default_of(kind: ValueType) -> Value:
    """Return what an unset field reads as; an unset message is None and reads on as unset."""
    return {"int": 0, "bool": False, "string": "", "list": (), "map": {}}.get(kind.kind)


def schema_of(*roots: type, hidden: Collection[str] = ()) -> Schema:
    """Return the messages reachable from the dataclasses ``roots``, named as their classes.

    int, bool, str and IntEnum are scalars; ``tuple[T, ...]`` is a list, ``Mapping[K, V]`` a map
    and ``T | None`` an optional field. A field of any other type (a datetime, a float, bytes), or
    named in ``hidden`` as ``Message.field``, is left out: rules cannot read it.
    """
    schema: dict[str, dict[str, Field]] = {}
    pending = [*roots]
    while pending:
        owner = pending.pop()
        if owner.__name__ in schema:
            continue
        fields = schema[owner.__name__] = {}
        for name, hint in get_type_hints(owner).items():
            known = _field_of(hint, pending)
            if known is not None and f"{owner.__name__}.{name}" not in hidden:
                fields[name] = known
    return schema


_SCALARS: Final[Mapping[type, ValueType]] = {int: INT, bool: BOOL, str: STRING}


def _field_of(hint: Any, found: list[type]) -> Field | None:
    if get_origin(hint) in (Union, UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        kind = _type_of(options[0], found) if len(options) == 1 else None
        return None if kind is None else Field(kind, optional=True)
    kind = _type_of(hint, found)
    return None if kind is None else Field(kind)


def _type_of(hint: Any, found: list[type]) -> ValueType | None:
    origin, parameters = get_origin(hint), get_args(hint)
    if origin is tuple or origin is Mapping:
        kept = [_type_of(item, found) for item in parameters if item is not Ellipsis]
        known = tuple(item for item in kept if item is not None)
        if len(known) < len(kept):
            return None
        return ValueType("list" if origin is tuple else "map", known)
    if not isinstance(hint, type):
        return None
    if dataclasses.is_dataclass(hint):
        found.append(hint)
        return message(hint.__name__)
    return INT if issubclass(hint, IntEnum) else _SCALARS.get(hint)
