"""Any JSON is an expression or a coded refusal, and any expression gives a value or a code."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from terminal_client.core.basket import AppliedDiscount, Basket, LineItem
from terminal_client.core.expression import ExpressionError, ExpressionLoadError, load
from terminal_client.core.expression_signatures import COMPREHENSIONS, OPERATIONS
from terminal_client.core.expression_types import INT, list_of
from terminal_client.core.rule_input import RuleContext
from terminal_client.core.rules import SCHEMA, VARIABLES, Scope

TYPES = {**VARIABLES[Scope.LINE], "numbers": list_of(INT)}
LINES = tuple(
    LineItem(
        line_number=number,
        extended_minor=number * 2**62,
        discounts=(AppliedDiscount(amount_minor=number),),
    )
    for number in range(-1, 3)
)
CONTEXT = RuleContext(
    store_local_date=20261123,
    store_local_minute_of_day=0,
    weekday=1,
    artifact_age_days={"rules": 1},
)
VALUES = (Basket(lines=LINES), CONTEXT, LINES[0], (0, -1, 2**63 - 1))
OPS = [*OPERATIONS, *COMPREHENSIONS, "var", "field", "has", "list", "dict"]
FIELDS = sorted({name for fields in SCHEMA.values() for name in fields})

scalars = (
    st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**63 - 1, -(2**63), 2**63])
    | st.sampled_from(["", "1", "t", "i", "rules", "numbers", "basket", "line", "\ud800", *FIELDS])
)
leaves = (
    scalars
    | st.sampled_from([["var", name] for name in (*TYPES, "i", "nosuch")])
    | st.builds(lambda name: ["field", ["var", "line"], name], st.sampled_from(FIELDS))
    | st.none()
    | st.floats(allow_nan=False)
)


def operation(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.builds(
        lambda op, args: [op, *args], st.sampled_from(OPS), st.lists(inner, max_size=3)
    )
    looped = st.builds(
        lambda op, over, body: [op, over, "i", body],
        st.sampled_from(["all", "exists", "exists_one", "filter", "map"]),
        st.just(["var", "numbers"]) | inner,
        inner,
    )
    return plain | looped


# Mostly well-typed, so that most of it is evaluated; "i" is bound only inside a comprehension.
NUMBERS = st.just(["var", "numbers"])
BOUND = st.sampled_from([["var", "i"], ["field", ["var", "line"], "extended_minor"]])


def numbers_of(item: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    literal = st.lists(item, max_size=3).map(lambda items: ["list", *items])
    mapped = item.map(lambda body: ["map", ["var", "numbers"], "i", body])
    chosen = item.map(lambda body: ["filter", ["var", "numbers"], "i", ["gt", body, ["var", "i"]]])
    return NUMBERS | literal | mapped | chosen


def integer(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arithmetic = st.sampled_from(["add", "sub", "mul", "div", "mod"])
    return (
        st.builds(lambda op, *args: [op, *args], arithmetic, inner, inner)
        | st.builds(lambda items, at: ["index", items, at], numbers_of(inner), inner)
        | st.builds(lambda items: ["size", ["add", items, items]], numbers_of(inner))
        | st.builds(lambda test, yes, no: ["if", ["lt", test, 1], yes, no], inner, inner, inner)
    )


INTEGERS = st.recursive(st.integers(-3, 3) | BOUND, integer, max_leaves=10)
CONDITIONS = st.builds(
    lambda op, items, loop, first, second: [
        op,
        ["eq", first, second],
        [loop, items, "i", ["in", first, items]],
    ],
    st.sampled_from(["and", "or"]),
    numbers_of(INTEGERS),
    st.sampled_from(["all", "exists", "exists_one"]),
    INTEGERS,
    INTEGERS,
)


def check_total(source: Any) -> bool:
    """Tell whether ``source`` loaded; fail if anything but a value or a coded error came of it."""
    try:
        expression = load(source, SCHEMA, TYPES)
    except ExpressionLoadError:
        return False
    try:
        value = expression.evaluate(VALUES, 5_000)
    except ExpressionError:
        return True
    if expression.type.kind in ("int", "bool", "string"):
        assert isinstance(value, {"int": int, "bool": bool, "string": str}[expression.type.kind])
    if expression.type == INT:
        assert -(2**63) <= value < 2**63  # type: ignore[operator]
    return True


@settings(max_examples=500)
@given(st.recursive(leaves, operation, max_leaves=12))
def test_any_json_loads_or_is_refused_and_what_loads_ends(source: Any) -> None:
    check_total(source)


@settings(max_examples=500)
@given(INTEGERS | CONDITIONS)
def test_a_nearly_well_typed_expression_ends_too(source: Any) -> None:
    # Inside this comprehension "i" is bound, so only what is truly ill-typed is refused.
    looped = ["map", ["var", "numbers"], "i", source]
    assert check_total(looped) or not check_total(source)
