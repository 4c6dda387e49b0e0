"""Rule expressions: loaded once from JSON, evaluated any number of times, by any thread.

CEL's semantics on integers, text, lists and maps. An evaluation ends in a value or in an
`ExpressionError`; it is bounded by the nodes allowed at load and by the budget it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from terminal_client.core.expression_closures import Frame, Run, build, charge
from terminal_client.core.expression_ir import (
    DEFAULT_LIMITS,
    ExpressionLoadError,
    LoadLimits,
    Node,
    check,
)
from terminal_client.core.expression_operations import ErrorCode, ExpressionError
from terminal_client.core.expression_types import Schema, Value, ValueType

__all__ = [
    "ErrorCode",
    "Expression",
    "ExpressionError",
    "ExpressionLoadError",
    "Frame",
    "LoadLimits",
    "Run",
    "load",
]


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
        self.run: Run = build(node)

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
    limits: LoadLimits = DEFAULT_LIMITS,
) -> Expression:
    """Load an expression from its JSON (see `terminal_client.core.expression_ir.check`).

    Raises:
        ExpressionLoadError: ``source`` is no expression, or exceeds ``limits``.
    """
    return Expression(check(source, schema, variables, limits), len(variables))


def _highest_slot(node: Node) -> int:
    return max((node.slot, *map(_highest_slot, node.args)))
