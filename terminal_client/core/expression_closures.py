"""The evaluator of rule expressions: a closure for each operation.

A closure takes a frame: a list whose item 0 is the budget left and whose other items are the
variables. Nothing is shared between two frames, so any number of threads may run one closure.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from terminal_client.core.expression_ir import Node
from terminal_client.core.expression_operations import (
    ErrorCode,
    ExpressionError,
    add,
    collection,
    div,
    index,
    int64,
    mod,
    to_bool,
    to_int,
    to_string,
    weigher,
)
from terminal_client.core.expression_types import Value, default_of

# Item 0: the budget left, in nodes. Items 1 and up: the variables' values.
Frame = list[Any]
Run = Callable[[Frame], Any]


def charge(frame: Frame, nodes: int) -> None:
    """Take ``nodes`` from the frame's budget.

    Raises:
        ExpressionError: BUDGET_EXHAUSTED; the budget then stays below zero.
    """
    frame[0] -= nodes
    if frame[0] < 0:
        raise ExpressionError(ErrorCode.BUDGET_EXHAUSTED)


def build(node: Node) -> Run:
    """Return the closure that evaluates ``node`` on a frame; it raises `ExpressionError`."""
    return _BUILDERS[node.op](node)


def _const(node: Node) -> Run:
    value = node.value
    return lambda frame: value


def _var(node: Node) -> Run:
    return operator.itemgetter(node.slot)


def _field(node: Node) -> Run:
    """Read a field; a path of fields that are never None is read in one C call."""
    names, owner = [node.name], node.args[0]
    while owner.op == "field" and not owner.field.optional:
        names, owner = [owner.name, *names], owner.args[0]
    get = operator.attrgetter(".".join(names))
    default = default_of(node.type)
    if owner.op == "var" and not node.field.optional:
        return _path(get, owner.slot, default)
    inner = build(owner)

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
    inner, get = build(node.args[0]), operator.attrgetter(node.name)
    default = None if node.field.optional else default_of(node.field.type)

    def run(frame: Frame) -> bool:
        owned = inner(frame)
        value = None if owned is None else get(owned)
        return value is not None and value != default

    return run


def _and_or(node: Node) -> Run:
    """``&&`` and ``||``: one operand that decides wins over errors in the others, in any order."""
    parts, decisive = tuple(map(build, node.args)), node.op == "or"

    def run(frame: Frame) -> Any:
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
    test, yes, no = map(build, node.args)
    return lambda frame: yes(frame) if test(frame) else no(frame)


def _unary(function: Callable[[Any], Any]) -> Callable[[Node], Run]:
    def built(node: Node) -> Run:
        inner = build(node.args[0])
        return lambda frame: function(inner(frame))

    return built


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Node], Run]:
    """``function`` of both values; a literal on the right, as most rules have, saves a call."""

    def built(node: Node) -> Run:
        left, right = map(build, node.args)
        if node.args[1].op == "const":
            value = node.args[1].value
            return lambda frame: function(left(frame), value)
        return lambda frame: function(left(frame), right(frame))

    return built


def _charged(function: Callable[[Any, Any], Any]) -> Callable[[Node], Run]:
    """Like `_binary`; collections are charged for the items looked at on both sides."""
    plain = _binary(function)

    def built(node: Node) -> Run:
        if not collection(node.args[0].type):
            return plain(node)
        left, right = map(build, node.args)
        weigh_left, weigh_right = (weigher(arg.type) for arg in node.args)

        def run(frame: Frame) -> Any:
            first, second = left(frame), right(frame)
            charge(frame, weigh_left(first) + weigh_right(second))
            return function(first, second)

        return run

    return built


def _in(node: Node) -> Run:
    item, where = map(build, node.args)
    if node.args[1].type.kind == "map":
        return lambda frame: item(frame) in where(frame)
    if node.args[1].op == "const" and not collection(node.args[0].type):
        # Its items are nodes of the expression: charged already.
        known = frozenset(where([]))
        return lambda frame: item(frame) in known
    weigh = weigher(node.args[1].type)

    def run(frame: Frame) -> Any:
        wanted, found = item(frame), where(frame)
        charge(frame, weigh(found))
        return wanted in found

    return run


def _list(node: Node) -> Run:
    parts = tuple(map(build, node.args))
    return lambda frame: tuple([part(frame) for part in parts])


def _dict(node: Node) -> Run:
    keys = [arg.value for arg in node.args[::2]]
    values = [build(arg) for arg in node.args[1::2]]
    return lambda frame: {key: run(frame) for key, run in zip(keys, values, strict=True)}


def _range(node: Node) -> Callable[[Frame], Sequence[Any]]:
    """Return the items to visit, charged for whether or not the visit ends early.

    A map's keys come in order, so that every machine sees the same one first.
    """
    over, mapping = build(node.args[0]), node.args[0].type.kind == "map"
    cost = 1 + sum(arg.cost for arg in node.args[1:])

    def run(frame: Frame) -> Sequence[Any]:
        found = over(frame)
        charge(frame, cost * len(found))
        return sorted(found) if mapping else found

    return run


# Below, ``for frame[slot] in ...`` sets the comprehension's variable: one store, no extra call.


def _all_exists(node: Node) -> Run:
    """An item that decides wins over errors on the others, as in `_and_or`."""
    over, body, slot, decisive = _range(node), build(node.args[1]), node.slot, node.op == "exists"

    def run(frame: Frame) -> Any:
        failure: ExpressionError | None = None
        for item in over(frame):
            frame[slot] = item
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
    over, body, slot = _range(node), build(node.args[1]), node.slot
    return lambda frame: sum([body(frame) for frame[slot] in over(frame)]) == 1


def _filter(node: Node) -> Run:
    over, body, slot = _range(node), build(node.args[1]), node.slot
    return lambda frame: tuple([frame[slot] for frame[slot] in over(frame) if body(frame)])


def _map(node: Node) -> Run:
    over, body, slot = _range(node), build(node.args[-1]), node.slot
    if node.op == "map":
        return lambda frame: tuple([body(frame) for frame[slot] in over(frame)])
    keep = build(node.args[1])
    return lambda frame: tuple([body(frame) for frame[slot] in over(frame) if keep(frame)])


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
    "add": _charged(add),
    "sub": _binary(lambda left, right: int64(left - right)),
    "mul": _binary(lambda left, right: int64(left * right)),
    "div": _binary(div),
    "mod": _binary(mod),
    "neg": _unary(lambda value: int64(-value)),
    "in": _in,
    "index": _binary(index),
    "size": _unary(len),
    "contains": _binary(operator.contains),
    "starts_with": _binary(str.startswith),
    "ends_with": _binary(str.endswith),
    "int": _unary(to_int),
    "string": _unary(to_string),
    "bool": _unary(to_bool),
    "all": _all_exists,
    "exists": _all_exists,
    "exists_one": _exists_one,
    "filter": _filter,
    "map": _map,
    "filter_map": _map,
}
