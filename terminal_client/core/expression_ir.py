"""The rule expression language as JSON: its types, its limits and its type checker.

An expression is CEL (https://cel.dev) restricted to int64, bool, string, list, map and the fields
of declared messages, written as JSON: a literal, or ``[operation, argument, ...]``. docs/rules.md
lists the operations. This module turns such JSON into a typed tree of `Node` or refuses it;
`terminal_client.core.expression` evaluates the tree. Whatever is accepted here cannot meet a type
error when it is evaluated, whoever wrote the JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from terminal_client.core.expression_signatures import COMPREHENSIONS, OPERATIONS, fits
from terminal_client.core.expression_types import (
    BOOL,
    INT,
    INT64_MAX,
    INT64_MIN,
    NO_FIELD,
    NONE,
    STRING,
    Field,
    Schema,
    Value,
    ValueType,
    item_type,
    join,
    list_of,
    map_of,
)


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """What an expression may be at most when it is loaded.

    ``depth`` bounds the nesting (and so the evaluator's stack), ``nodes`` the operations and
    literals together, ``literal_chars`` each string literal, in code points.
    """

    depth: int = 32
    nodes: int = 1_000
    literal_chars: int = 1_024


DEFAULT_LIMITS: Final = LoadLimits()


class ExpressionLoadError(ValueError):
    """The JSON is no expression of the declared types.

    Attributes:
        code: TOO_DEEP | TOO_LARGE | BAD_LITERAL | UNKNOWN_OPERATION | BAD_ARITY | BAD_TYPE |
            UNKNOWN_VARIABLE | UNKNOWN_FIELD.
        path: where in the JSON, as indexes from the root: ``(2, 1)`` is the first argument of the
            second argument.
        text: what is wrong, for a person.
    """

    def __init__(self, code: str, path: tuple[int, ...], text: str) -> None:
        super().__init__(f"{code} at {list(path)}: {text}")
        self.code = code
        self.path = path
        self.text = text


@dataclass(frozen=True, slots=True)
class Node:
    """A typed operation.

    ``value`` is the literal of a ``const``; ``slot`` that of a ``var`` or of a comprehension's
    variable; ``name`` and ``field`` belong to a ``field`` or ``has``. ``cost`` counts this node
    and those below: what one evaluation is charged, before comprehensions.
    """

    op: str
    type: ValueType
    args: tuple[Node, ...] = ()
    cost: int = 1
    value: Value = None
    slot: int = 0
    name: str = ""
    field: Field = NO_FIELD


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables in scope: name -> (slot, type). Slot numbers count from 1."""

    slots: Mapping[str, tuple[int, ValueType]] = field(default_factory=dict)

    @classmethod
    def declare(cls, types: Mapping[str, ValueType]) -> Variables:
        """Number the variables in the mapping's order."""
        return cls({name: (slot, kind) for slot, (name, kind) in enumerate(types.items(), 1)})

    def bind(self, name: str, kind: ValueType) -> tuple[Variables, int]:
        """Add ``name``, hiding an outer variable of that name; return the scope and its slot."""
        slot = 1 + max((number for number, _ in self.slots.values()), default=0)
        # Hidden variables keep their slot under a name that no expression can spell.
        slots = {f"{key}'" if key == name else key: item for key, item in self.slots.items()}
        return Variables({**slots, name: (slot, kind)}), slot


_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_Args = Sequence[Node]


def _cost(args: _Args) -> int:
    return 1 + sum(arg.cost for arg in args)


def _folded(node: Node, make: Callable[[list[Value]], Value]) -> Node:
    """Turn a list or dict of literals into a literal of the same type and cost."""
    if any(arg.op != "const" for arg in node.args):
        return node
    return Node("const", node.type, (), node.cost, make([arg.value for arg in node.args]))


def _pairs(values: list[Value]) -> Iterable[tuple[Value, Value]]:
    return zip(values[::2], values[1::2], strict=True)


class _Checker:
    """One pass over the JSON of one expression."""

    def __init__(self, schema: Schema, limits: LoadLimits) -> None:
        self._schema = schema
        self._limits = limits
        self._nodes = 0

    def check(self, source: object, scope: Variables, path: tuple[int, ...]) -> Node:
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise ExpressionLoadError("TOO_LARGE", path, f"over {self._limits.nodes} nodes")
        if len(path) >= self._limits.depth:
            raise ExpressionLoadError("TOO_DEEP", path, f"over {self._limits.depth} levels")
        if not isinstance(source, list):
            return self._literal(source, path)
        if not source or not isinstance(source[0], str):
            raise ExpressionLoadError("UNKNOWN_OPERATION", path, "an operation's name comes first")
        op, arguments = source[0], source[1:]
        if op in OPERATIONS:
            return self._operation(op, arguments, scope, path)
        if op in COMPREHENSIONS:
            return self._comprehension(op, arguments, scope, path)
        special = {"var": self._var, "field": self._field, "has": self._field}
        special |= {"list": self._list, "dict": self._dict}
        if op not in special:
            raise ExpressionLoadError("UNKNOWN_OPERATION", path, repr(op))
        return special[op](op, arguments, scope, path)

    def _literal(self, source: object, path: tuple[int, ...]) -> Node:
        if isinstance(source, bool):
            return Node("const", BOOL, value=source)
        if isinstance(source, int) and INT64_MIN <= source <= INT64_MAX:
            return Node("const", INT, value=source)
        if isinstance(source, str) and self._is_text(source):
            return Node("const", STRING, value=source)
        raise ExpressionLoadError("BAD_LITERAL", path, f"a {type(source).__name__}")

    def _is_text(self, source: str) -> bool:
        # A lone surrogate is no Unicode text: it could not have come from a rule's source.
        surrogate = any("\ud800" <= char <= "\udfff" for char in source)
        return len(source) <= self._limits.literal_chars and not surrogate

    def _arguments(
        self, arguments: Sequence[object], scope: Variables, path: tuple[int, ...]
    ) -> tuple[Node, ...]:
        return tuple(self.check(item, scope, (*path, i)) for i, item in enumerate(arguments, 1))

    def _operation(
        self, op: str, arguments: Sequence[object], scope: Variables, path: tuple[int, ...]
    ) -> Node:
        arity, result_of = OPERATIONS[op]
        if len(arguments) != arity and (arity or len(arguments) < 2):
            raise ExpressionLoadError("BAD_ARITY", path, f"{op} takes {arity or 'two or more'}")
        args = self._arguments(arguments, scope, path)
        result = result_of([arg.type for arg in args])
        if result is None:
            given = ", ".join(str(arg.type) for arg in args)
            raise ExpressionLoadError("BAD_TYPE", path, f"{op} of ({given})")
        return Node(op, result, args, _cost(args))

    def _comprehension(
        self, op: str, arguments: Sequence[object], scope: Variables, path: tuple[int, ...]
    ) -> Node:
        """``[op, range, variable, body, ...]``: a list's items, or a map's keys in order."""
        bodies = COMPREHENSIONS[op]
        if len(arguments) != 2 + bodies:
            raise ExpressionLoadError("BAD_ARITY", path, f"{op} takes {2 + bodies}")
        over = self.check(arguments[0], scope, (*path, 1))
        item = item_type(over.type)
        if item is None:
            raise ExpressionLoadError("BAD_TYPE", (*path, 1), f"{op} over {over.type}")
        inner, slot = scope.bind(self._name(arguments[1], (*path, 2)), item)
        args = tuple(self.check(body, inner, (*path, i)) for i, body in enumerate(arguments[2:], 3))
        tests = args[:-1] if op in ("map", "filter_map") else args
        if not all(fits(test.type, BOOL) for test in tests):
            raise ExpressionLoadError("BAD_TYPE", path, f"the condition of {op} is no bool")
        results = {"filter": list_of(item)}
        results |= dict.fromkeys(("map", "filter_map"), list_of(args[-1].type))
        cost = over.cost + _cost(args)
        return Node(op, results.get(op, BOOL), (over, *args), cost, slot=slot)

    def _name(self, source: object, path: tuple[int, ...]) -> str:
        if isinstance(source, str) and _NAME.fullmatch(source):
            return source
        raise ExpressionLoadError("BAD_LITERAL", path, "a name is [a-z][a-z0-9_]*, at most 64")

    def _var(
        self, op: str, arguments: Sequence[object], scope: Variables, path: tuple[int, ...]
    ) -> Node:
        if len(arguments) != 1:
            raise ExpressionLoadError("BAD_ARITY", path, "var takes 1")
        name = self._name(arguments[0], (*path, 1))
        if name not in scope.slots:
            raise ExpressionLoadError("UNKNOWN_VARIABLE", path, name)
        slot, kind = scope.slots[name]
        return Node(op, kind, slot=slot)

    def _field(
        self, op: str, arguments: Sequence[object], scope: Variables, path: tuple[int, ...]
    ) -> Node:
        if len(arguments) != 2:
            raise ExpressionLoadError("BAD_ARITY", path, f"{op} takes 2")
        owner = self.check(arguments[0], scope, (*path, 1))
        name = self._name(arguments[1], (*path, 2))
        known = self._schema.get(owner.type.message, {}).get(name)
        if known is None:
            raise ExpressionLoadError("UNKNOWN_FIELD", path, f"{name} of {owner.type}")
        if op == "has" and known.type.kind == "message" and not known.optional:
            raise ExpressionLoadError("BAD_TYPE", path, f"{name} is always there: has cannot tell")
        kind = known.type if op == "field" else BOOL
        return Node(op, kind, (owner,), 1 + owner.cost, name=name, field=known)

    def _list(
        self, op: str, arguments: Sequence[object], scope: Variables, path: tuple[int, ...]
    ) -> Node:
        args = self._arguments(arguments, scope, path)
        return _folded(Node(op, list_of(self._common(args, path)), args, _cost(args)), tuple)

    def _dict(
        self, op: str, arguments: Sequence[object], scope: Variables, path: tuple[int, ...]
    ) -> Node:
        """``["dict", key, value, ...]`` with literal, distinct int or string keys."""
        if len(arguments) % 2:
            raise ExpressionLoadError("BAD_ARITY", path, "dict takes pairs")
        args = self._arguments(arguments, scope, path)
        keys = args[::2]
        if any(key.op != "const" or key.type not in (INT, STRING) for key in keys):
            raise ExpressionLoadError("BAD_TYPE", path, "a key is an int or string literal")
        if len({key.value for key in keys}) != len(keys):
            raise ExpressionLoadError("BAD_LITERAL", path, "a key comes twice")
        kind = map_of(self._common(keys, path), self._common(args[1::2], path))
        return _folded(Node(op, kind, args, _cost(args)), lambda values: dict(_pairs(values)))

    def _common(self, args: _Args, path: tuple[int, ...]) -> ValueType:
        common = NONE
        for arg in args:
            joined = join(common, arg.type)
            if joined is None:
                raise ExpressionLoadError("BAD_TYPE", path, f"{arg.type} among {common}")
            common = joined
        return common


def check(
    source: object,
    schema: Schema,
    variables: Mapping[str, ValueType],
    limits: LoadLimits = DEFAULT_LIMITS,
) -> Node:
    """Return the typed tree of ``source``, an expression as `json.loads` gives it.

    ``variables`` are numbered from slot 1 in their order; comprehension variables come after.

    Raises:
        ExpressionLoadError: ``source`` is no expression over ``variables``, or exceeds ``limits``.
    """
    return _Checker(schema, limits).check(source, Variables.declare(variables), ())
