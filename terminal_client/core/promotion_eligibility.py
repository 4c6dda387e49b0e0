"""Who may have a promotion: a condition over basket and context.

The engine knows a condition only as ``Eligibility``. The one in the rules bundle is an
expression of ``core.expression``, compiled from CEL when it was published.
"""

from __future__ import annotations

from typing import Protocol

from terminal_client.core.expression import Expression, ExpressionError, ExpressionLoadError, load
from terminal_client.core.expression_types import BOOL
from terminal_client.core.reading import DocumentError
from terminal_client.core.rule_input import RuleInput
from terminal_client.core.rules import SCHEMA, VARIABLES, Scope

CONDITION_NODES = 250_000
"""What one condition may cost, in the evaluator's nodes: as much as one rule."""


class EligibilityError(Exception):
    """A condition has no value for this basket; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Eligibility(Protocol):
    """Whether a promotion may apply at all."""

    def __call__(self, rule_input: RuleInput) -> bool:
        """Tell whether it may.

        Raises:
            EligibilityError: the condition has no value; the promotion then does not apply.
        """
        ...


class Condition:
    """An eligibility that the rules bundle carries as an expression."""

    __slots__ = ("_expression",)

    def __init__(self, expression: Expression) -> None:
        self._expression = expression

    def __call__(self, rule_input: RuleInput) -> bool:
        """Evaluate the expression on basket and context.

        Raises:
            EligibilityError: it has no value.
        """
        try:
            value = self._expression.evaluate(
                (rule_input.basket, rule_input.context), CONDITION_NODES
            )
        except ExpressionError as error:
            raise EligibilityError(error.code.value) from error
        return value is True


def load_eligibility(source: object, path: str) -> Eligibility:
    """Load a condition from its JSON.

    Raises:
        DocumentError: it is no expression over ``basket`` and ``context``, or no bool.
    """
    try:
        expression = load(source, SCHEMA, VARIABLES[Scope.BASKET])
    except ExpressionLoadError as error:
        place = "".join(f"[{index}]" for index in error.path)
        raise DocumentError(
            f"{path}{place}", f"{error.code}: {error.text}", "compile the condition anew"
        ) from error
    if expression.type != BOOL:
        raise DocumentError(path, f"is {expression.type}", "write a condition: a bool")
    return Condition(expression)
