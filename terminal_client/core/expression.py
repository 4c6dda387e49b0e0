"""The evaluator of rule expressions: CEL's semantics on integers, text, lists and maps.

A loaded `Expression` is a tree of closures over one frame: a list whose item 0 is the budget left
and whose other items are the variables. Nothing is shared between two frames, so any number of
threads may evaluate one expression. An evaluation ends in a value or in an `ExpressionError`; it
is bounded by the nodes allowed at load and by the frame's budget.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

from terminal_client.core.expression_ir import (
    INT64_MAX,
    INT64_MIN,
    LoadLimits,
    Node,
    Schema,
    Value,
    ValueType,
    check,
)

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


# Item 0: the budget left, in nodes. Items 1 and up: the variables' values.
Frame = list[Any]
Run = Callable[[Frame], Any]


class Expression:
    """A loaded expression.

    Attributes:
        type: the result's type.
        cost: what one evaluation is charged before comprehensions, in nodes.
        run: evaluates on a `Frame` of at least ``slots`` items without charging ``cost``; raises
            `ExpressionError`. For callers that keep one frame for many expressions.
    """

    __slots__ = ("cost", "run", "slots", "type")

    def __init__(self, node: Node, variable_count: int) -> None:
        self.type: ValueType = node.type
        self.cost: int = node.cost
        self.slots: int = max(_highest_slot(node), variable_count) + 1
        self.run: Run = _build(node)

    def evaluate(self, variables: Sequence[Value], budget: int) -> Value:
        """Return the value for ``variables`` (in the order they were declared).

        ``budget`` bounds the work in nodes: an evaluation costs ``cost``, each iteration of a
        comprehension the nodes it runs, and ``in``, ``==`` and ``+`` on collections one per item.

        Raises:
            ExpressionError: there is no value.
        """
        frame: Frame = [budget, *variables]
        frame += [None] * (self.slots - len(frame))
        charge(frame, self.cost)
        return self.run(frame)


def load(
    source: object,
    schema: Schema,
    variables: Mapping[str, ValueType],
    limits: LoadLimits = LoadLimits(),
) -> Expression:
    """Load an expression from its JSON (see `terminal_client.core.expression_ir.check`).

    Raises:
        ExpressionLoadError: ``source`` is no expression, or exceeds ``limits``.
    """
    return Expression(check(source, schema, variables, limits), len(variables))


def charge(frame: Frame, nodes: int) -> None:
    """Take ``nodes`` from the frame's budget.

    Raises:
        ExpressionError: BUDGET_EXHAUSTED; the budget then stays below zero.
    """
    frame[0] -= nodes
    if frame[0] < 0:
        raise ExpressionError(ErrorCode.BUDGET_EXHAUSTED)


def _highest_slot(node: Node) -> int:
    return max((node.slot, *map(_highest_slot, node.args)))


def _build(node: Node) -> Run:
    return _BUILDERS[node.op](node)


def _const(node: Node) -> Run:
    value = node.value
    return lambda frame: value


def _var(node: Node) -> Run:
    return operator.itemgetter(node.slot)


def _default(kind: ValueType) -> Value:
    """Return what an unset field reads as; an unset message is None and reads on as unset."""
    return {"int": 0, "bool": False, "string": "", "list": (), "map": {}}.get(kind.kind)


def _field(node: Node) -> Run:
    """Read a field; a path of fields that are never None is read in one C call."""
    names, owner = [node.name], node.args[0]
    while owner.op == "field" and not owner.field.optional:
        names, owner = [owner.name, *names], owner.args[0]
    get = attrgetter(".".join(names))
    default = _default(node.type)
    if owner.op == "var" and not node.field.optional:
        return _path(get, owner.slot, default)
    inner = _build(owner)

    def run(frame: Frame) -> Any:
        owned = inner(frame)
        value = None if owned is None else get(owned)
        return default if value is None else value

    return run


def _path(get: Callable[[Any], Any], slot: int, default: Value) -> Run:
    def run(frame: Frame) -> Any:
        try:
            return get(frame[slot])
        except AttributeError:
            # A comprehension may hand on an unset message.
            if frame[slot] is not None:
                raise
            return default

    return run


def _has(node: Node) -> Run:
    inner, get = _build(node.args[0]), attrgetter(node.name)
    default = None if node.field.optional else _default(node.field.type)

    def run(frame: Frame) -> bool:
        owned = inner(frame)
        value = None if owned is None else get(owned)
        return value is not None and value != default

    return run


def _and_or(node: Node) -> Run:
    """``&&`` and ``||``: one operand that decides wins over errors in the others, in any order."""
    parts, decisive = tuple(map(_build, node.args)), node.op == "or"

    def run(frame: Frame) -> bool:
        failure: ExpressionError | None = None
        for part in parts:
            try:
                if part(frame) is decisive:
                    return decisive
            except ExpressionError as error:
                failure = _absorb(failure, error)
        if failure is not None:
            raise failure
        return not decisive

    return run


def _absorb(first: ExpressionError | None, error: ExpressionError) -> ExpressionError:
    """Keep the first error. A spent budget is never absorbed: it must end the evaluation."""
    if error.code is ErrorCode.BUDGET_EXHAUSTED:
        raise error
    return first or error


def _if(node: Node) -> Run:
    test, yes, no = map(_build, node.args)
    return lambda frame: yes(frame) if test(frame) else no(frame)


def _unary(function: Callable[[Any], Any]) -> Callable[[Node], Run]:
    def build(node: Node) -> Run:
        inner = _build(node.args[0])
        return lambda frame: function(inner(frame))

    return build


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Node], Run]:
    """``function`` of both values; a literal on the right, as most rules have, saves a call."""

    def build(node: Node) -> Run:
        left, right = map(_build, node.args)
        if node.args[1].op == "const":
            value = node.args[1].value
            return lambda frame: function(left(frame), value)
        return lambda frame: function(left(frame), right(frame))

    return build


def _collection(kind: ValueType) -> bool:
    return kind.kind in ("list", "map")


def _charged(function: Callable[[Any, Any], Any]) -> Callable[[Node], Run]:
    """Like `_binary`; collections are charged for the items looked at on both sides."""
    plain = _binary(function)

    def build(node: Node) -> Run:
        if not _collection(node.args[0].type):
            return plain(node)
        left, right = map(_build, node.args)
        weigh_left, weigh_right = (_weigher(arg.type) for arg in node.args)

        def run(frame: Frame) -> Any:
            first, second = left(frame), right(frame)
            charge(frame, weigh_left(first) + weigh_right(second))
            return function(first, second)

        return run

    return build


def _in(node: Node) -> Run:
    item, where = map(_build, node.args)
    of = node.args[1].type
    if of.kind == "map":
        return lambda frame: item(frame) in where(frame)
    if node.args[1].op == "const" and not _collection(of.parameters[0]):
        # Its items are nodes of the expression: charged already.
        known = frozenset(where([]))
        return lambda frame: item(frame) in known
    weigh = _weigher(of)

    def run(frame: Frame) -> bool:
        wanted, items = item(frame), where(frame)
        charge(frame, weigh(items))
        return wanted in items

    return run


def _weigher(kind: ValueType) -> Callable[[Any], int]:
    return _items if any(map(_collection, kind.parameters)) else len


def _items(value: Any) -> int:
    """Count the items of a collection and of those in it."""
    if isinstance(value, Mapping):
        return len(value) + sum(map(_items, value.values()))
    return len(value) + sum(map(_items, value)) if isinstance(value, tuple) else 0


def _int64(value: int) -> int:
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise ExpressionError(ErrorCode.OVERFLOW)


def _add(left: Any, right: Any) -> Any:
    total = left + right
    if isinstance(total, int):
        return _int64(total)
    if isinstance(total, str) and len(total) > MAX_STRING_CHARS:
        raise ExpressionError(ErrorCode.STRING_TOO_LONG)
    return total


def _div(left: int, right: int) -> int:
    """Truncate toward zero; Python's ``//`` rounds down."""
    if right == 0:
        raise ExpressionError(ErrorCode.DIVIDE_BY_ZERO)
    quotient = abs(left) // abs(right)
    return _int64(quotient if (left < 0) == (right < 0) else -quotient)


def _mod(left: int, right: int) -> int:
    """The remainder of `_div`: it has the sign of ``left``."""
    return left - right * _div(left, right)


def _index(where: Any, key: Any) -> Any:
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


def _to_int(text: str) -> int:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ExpressionError(ErrorCode.INVALID_CONVERSION)
    value = int(found[1] + found[2])
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise ExpressionError(ErrorCode.INVALID_CONVERSION)


def _to_bool(text: str) -> bool:
    if text in _TRUTHS:
        return _TRUTHS[text]
    raise ExpressionError(ErrorCode.INVALID_CONVERSION)


def _to_string(value: int | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(int(value))


def _list(node: Node) -> Run:
    parts = tuple(map(_build, node.args))
    return lambda frame: tuple([part(frame) for part in parts])


def _dict(node: Node) -> Run:
    keys = [arg.value for arg in node.args[::2]]
    values = [_build(arg) for arg in node.args[1::2]]
    return lambda frame: {key: run(frame) for key, run in zip(keys, values, strict=True)}


def _range(node: Node) -> Callable[[Frame], Iterator[None]]:
    """Iterate: set the variable, charge, yield. A map's keys come in order, so that every machine
    sees the same one first.
    """
    over, slot, mapping = _build(node.args[0]), node.slot, node.args[0].type.kind == "map"
    cost = 1 + sum(arg.cost for arg in node.args[1:])

    def run(frame: Frame) -> Iterator[None]:
        items = over(frame)
        if mapping:
            charge(frame, len(items))
            items = sorted(items)
        for item in items:
            charge(frame, cost)
            frame[slot] = item
            yield

    return run


def _all_exists(node: Node) -> Run:
    """An item that decides wins over errors on the others, as in `_and_or`."""
    items, body, decisive = _range(node), _build(node.args[1]), node.op == "exists"

    def run(frame: Frame) -> bool:
        failure: ExpressionError | None = None
        for _ in items(frame):
            try:
                if body(frame) is decisive:
                    return decisive
            except ExpressionError as error:
                failure = _absorb(failure, error)
        if failure is not None:
            raise failure
        return not decisive

    return run


def _exists_one(node: Node) -> Run:
    items, body = _range(node), _build(node.args[1])
    return lambda frame: sum([body(frame) for _ in items(frame)]) == 1


def _filter(node: Node) -> Run:
    items, body, slot = _range(node), _build(node.args[1]), node.slot
    return lambda frame: tuple([frame[slot] for _ in items(frame) if body(frame)])


def _map(node: Node) -> Run:
    items, body = _range(node), _build(node.args[-1])
    if node.op == "map":
        return lambda frame: tuple([body(frame) for _ in items(frame)])
    keep = _build(node.args[1])
    return lambda frame: tuple([body(frame) for _ in items(frame) if keep(frame)])


_BUILDERS: Final[Mapping[str, Callable[[Node], Run]]] = {
    "const": _const,
    "var": _var,
    "field": _field,
    "has": _has,
    "list": _list,
    "dict": _dict,
    "and": _and_or,
    "or": _and_or,
    "not": _unary(operator.not_),
    "if": _if,
    "eq": _charged(operator.eq),
    "ne": _charged(operator.ne),
    "lt": _binary(operator.lt),
    "le": _binary(operator.le),
    "gt": _binary(operator.gt),
    "ge": _binary(operator.ge),
    "add": _charged(_add),
    "sub": _binary(lambda left, right: _int64(left - right)),
    "mul": _binary(lambda left, right: _int64(left * right)),
    "div": _binary(_div),
    "mod": _binary(_mod),
    "neg": _unary(lambda value: _int64(-value)),
    "in": _in,
    "index": _binary(_index),
    "size": _unary(len),
    "contains": _binary(operator.contains),
    "starts_with": _binary(str.startswith),
    "ends_with": _binary(str.endswith),
    "int": _unary(_to_int),
    "string": _unary(_to_string),
    "bool": _unary(_to_bool),
    "all": _all_exists,
    "exists": _all_exists,
    "exists_one": _exists_one,
    "filter": _filter,
    "map": _map,
    "filter_map": _map,
}
