"""Values, errors and bounds of evaluation that CEL's own suite does not cover."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from terminal_client.core.basket import LaneKind
from terminal_client.core.expression import ErrorCode, Expression, ExpressionError, load
from terminal_client.core.expression_operations import MAX_STRING_CHARS
from terminal_client.core.expression_types import (
    BOOL,
    INT,
    INT64_MAX,
    INT64_MIN,
    STRING,
    ValueType,
    list_of,
    map_of,
    message,
    schema_of,
)
from tests.rules.expression.notation import exact


@dataclass(frozen=True, slots=True)
class Owner:
    name: str = ""
    minor: int = 0
    limit: int | None = None
    tags: tuple[str, ...] = ()
    ages: Mapping[str, int] | None = None
    sure: bool | None = None
    channel: LaneKind = LaneKind.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Cart:
    owner: Owner = Owner()
    guest: Owner | None = None
    guests: tuple[Owner, ...] = ()


SCHEMA = schema_of(Cart)
TYPES: dict[str, ValueType] = {
    "c": message("Cart"),
    "x": INT,
    "s": STRING,
    "m": map_of(STRING, INT),
    "l": list_of(INT),
}
VALUES: tuple[Any, ...] = (Cart(), 3, "abc", {"b": 2, "a": 1}, (1, 2, 3))
C, X, S, M, L = (["var", name] for name in TYPES)
GUEST = ["field", C, "guest"]
FAIL = ["div", 1, 0]
FAILS = ["eq", FAIL, 1]


def loaded(source: Any) -> Expression:
    return load(source, SCHEMA, TYPES)


def value_of(source: Any, *values: Any, budget: int = 10_000) -> Any:
    return loaded(source).evaluate((*values, *VALUES[len(values) :]), budget)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param(["add", INT64_MAX, 0], INT64_MAX, id="largest"),
        pytest.param(["neg", INT64_MAX], -INT64_MAX, id="neg"),
        pytest.param(["div", -7, 2], -3, id="div-toward-zero"),
        pytest.param(["div", 7, -2], -3, id="div-toward-zero-other-sign"),
        pytest.param(["mod", -7, 2], -1, id="mod-has-the-sign-of-the-left"),
        pytest.param(["mod", 7, -2], 1, id="mod-of-a-negative"),
        pytest.param(["in", X, ["list", 1, 3]], True, id="in-literal-list"),
        pytest.param(["in", X, ["list", 1, ["neg", -3]]], True, id="in-computed-list"),
        pytest.param(["in", X, L], True, id="in-list"),
        pytest.param(["in", ["list", 1], ["list", ["list", 1]]], True, id="list-in-literal-list"),
        pytest.param(["in", M, ["list"]], False, id="map-in-empty-list"),
        pytest.param(["in", "a", M], True, id="in-map"),
        pytest.param(["eq", M, ["dict", "a", 1, "b", ["neg", -2]]], True, id="eq-of-maps"),
        pytest.param(["ne", L, ["list", 1]], True, id="ne-of-lists"),
        pytest.param(["add", L, ["list", 4]], (1, 2, 3, 4), id="add-of-lists"),
        pytest.param(["map", M, "k", ["index", M, ["var", "k"]]], (1, 2), id="keys-in-order"),
        pytest.param(["filter", M, "k", True], ("a", "b"), id="filtered-keys-in-order"),
        pytest.param(["size", "\U0001f600é"], 2, id="size-in-code-points"),
        pytest.param(["lt", "\uffff", "\U0001f600"], True, id="order-by-code-point"),
        pytest.param(["string", ["field", ["field", C, "owner"], "channel"]], "0", id="enum"),
        pytest.param(["and", FAILS, False], False, id="and-absorbs-on-the-left"),
        pytest.param(["and", True, False, FAILS], False, id="and-absorbs-on-the-right"),
        pytest.param(["or", FAILS, True], True, id="or-absorbs"),
        pytest.param(["if", True, 1, FAIL], 1, id="if-is-lazy"),
        pytest.param(["all", L, "i", ["lt", ["var", "i"], 4]], True, id="all"),
        pytest.param(
            ["exists", L, "i", ["eq", ["div", 4, ["sub", ["var", "i"], 1]], 2]],
            True,
            id="exists-absorbs",
        ),
        pytest.param(
            ["map", L, "i", ["exists", L, "i", ["eq", ["var", "i"], 3]]],
            (True, True, True),
            id="inner-variable-hides-the-outer",
        ),
        pytest.param(
            ["map", ["list", 1, 2], "i", ["map", ["list", 5], "j", ["add", ["var", "i"], X]]],
            ((4,), (5,)),
            id="outer-variable-in-the-inner-body",
        ),
        pytest.param(
            ["map", ["list", 1, 2], "x", ["map", ["list", 5], "y", ["var", "x"]]],
            ((1,), (2,)),
            id="hides-a-declared-variable",
        ),
        pytest.param(["exists_one", L, "i", ["gt", ["var", "i"], 2]], True, id="exists_one"),
        pytest.param(
            ["filter_map", L, "i", ["gt", ["var", "i"], 1], ["mul", ["var", "i"], 2]],
            (4, 6),
            id="filter_map",
        ),
    ],
)
def test_value(source: Any, value: Any) -> None:
    assert exact(value_of(source)) == exact(value)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        pytest.param(["add", INT64_MAX, 1], ErrorCode.OVERFLOW, id="add"),
        pytest.param(["sub", INT64_MIN, 1], ErrorCode.OVERFLOW, id="sub"),
        pytest.param(["mul", INT64_MIN, -1], ErrorCode.OVERFLOW, id="mul"),
        pytest.param(["neg", INT64_MIN], ErrorCode.OVERFLOW, id="neg"),
        pytest.param(["div", INT64_MIN, -1], ErrorCode.OVERFLOW, id="div"),
        pytest.param(["mod", INT64_MIN, -1], ErrorCode.OVERFLOW, id="mod"),
        pytest.param(["div", 1, 0], ErrorCode.DIVIDE_BY_ZERO, id="div-zero"),
        pytest.param(["mod", 1, 0], ErrorCode.DIVIDE_BY_ZERO, id="mod-zero"),
        pytest.param(["index", M, "z"], ErrorCode.NO_SUCH_KEY, id="key"),
        pytest.param(["index", L, 3], ErrorCode.INDEX_OUT_OF_RANGE, id="index-above"),
        pytest.param(["index", L, -1], ErrorCode.INDEX_OUT_OF_RANGE, id="index-below"),
        pytest.param(["int", "1.5"], ErrorCode.INVALID_CONVERSION, id="int"),
        pytest.param(["int", "9223372036854775808"], ErrorCode.INVALID_CONVERSION, id="int-large"),
        pytest.param(["bool", "yes"], ErrorCode.INVALID_CONVERSION, id="bool"),
        pytest.param(["and", FAILS, True], ErrorCode.DIVIDE_BY_ZERO, id="and-undecided"),
        pytest.param(["or", FAILS, False], ErrorCode.DIVIDE_BY_ZERO, id="or-undecided"),
        pytest.param(
            ["or", FAILS, ["eq", ["index", L, 9], 1]], ErrorCode.DIVIDE_BY_ZERO, id="first-error"
        ),
        pytest.param(
            ["all", L, "i", ["lt", ["div", 6, ["sub", ["var", "i"], 2]], 9]],
            ErrorCode.DIVIDE_BY_ZERO,
            id="all-undecided",
        ),
    ],
)
def test_error(source: Any, code: ErrorCode) -> None:
    with pytest.raises(ExpressionError) as raised:
        value_of(source)
    assert raised.value.code is code


@pytest.mark.parametrize(
    ("source", "unset", "given"),
    [
        pytest.param(["field", GUEST, "name"], "", "Ann", id="text"),
        pytest.param(["field", GUEST, "minor"], 0, 5, id="integer"),
        pytest.param(["field", GUEST, "limit"], 0, 9, id="optional"),
        pytest.param(["field", GUEST, "tags"], (), ("t",), id="list"),
        pytest.param(["field", GUEST, "ages"], {}, {"a": 1}, id="map"),
        pytest.param(["field", GUEST, "sure"], False, True, id="bool"),
        pytest.param(["has", C, "guest"], False, True, id="has-message"),
        pytest.param(["has", GUEST, "name"], False, True, id="has-text"),
        pytest.param(["has", GUEST, "limit"], False, True, id="has-optional"),
        pytest.param(["has", GUEST, "tags"], False, True, id="has-list"),
        pytest.param(
            ["map", ["list", GUEST], "g", ["field", ["var", "g"], "name"]],
            ("",),
            ("Ann",),
            id="in-a-list",
        ),
    ],
)
def test_an_unset_message_reads_as_defaults(source: Any, unset: Any, given: Any) -> None:
    guest = Owner(name="Ann", minor=5, limit=9, tags=("t",), ages={"a": 1}, sure=True)
    assert exact(value_of(source, Cart())) == exact(unset)
    assert exact(value_of(source, Cart(guest=guest))) == exact(given)


def test_an_optional_field_is_there_even_with_its_default() -> None:
    has_limit = ["has", ["field", C, "owner"], "limit"]
    assert value_of(has_limit, Cart(owner=Owner(limit=0))) is True
    assert value_of(has_limit, Cart(owner=Owner())) is False
    assert value_of(["has", ["field", C, "owner"], "minor"], Cart(owner=Owner(minor=0))) is False


def test_an_object_without_a_declared_field_is_a_bug_not_a_default() -> None:
    with pytest.raises(AttributeError):
        value_of(["field", ["field", C, "owner"], "name"], object())


def test_text_may_grow_to_its_limit_and_no_further() -> None:
    half = "a" * (MAX_STRING_CHARS // 2)
    assert len(value_of(["add", S, S], Cart(), 0, half)) == MAX_STRING_CHARS
    with pytest.raises(ExpressionError) as raised:
        value_of(["add", S, S], Cart(), 0, half + "a")
    assert raised.value.code is ErrorCode.STRING_TOO_LONG


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        pytest.param(["add", X, 1], 3, id="nodes"),
        pytest.param(["in", X, ["list", 1, 2]], 5, id="literal-list-is-its-nodes"),
        pytest.param(["in", X, L], 3 + 3, id="in-list-by-item"),
        pytest.param(["in", "a", M], 3, id="in-map"),
        pytest.param(["eq", L, ["list", 1]], 4 + 3 + 1, id="eq-by-item"),
        pytest.param(["eq", M, M], 3 + 2 + 2, id="eq-of-maps-by-key"),
        pytest.param(["eq", ["list", L], ["list", L]], 5 + 4 + 4, id="eq-counts-nested-items"),
        pytest.param(
            ["eq", ["dict", "a", L], ["dict", "a", L]], 7 + 4 + 4, id="eq-counts-items-in-maps"
        ),
        pytest.param(["add", L, L], 3 + 6, id="concatenation-by-item"),
        pytest.param(["all", L, "i", ["eq", ["var", "i"], 9]], 5 + 3 * 4, id="all-by-item"),
        pytest.param(["map", M, "k", 1], 3 + 2 * 2, id="map-by-key"),
        pytest.param(["filter_map", L, "i", True, 1], 4 + 3 * 3, id="both-bodies"),
        pytest.param(["map", L, "i", ["map", L, "j", 1]], (5 + 3 * 4) + 3 * (3 * 2), id="nested"),
    ],
)
def test_an_evaluation_costs_what_the_reference_says(source: Any, cost: int) -> None:
    value_of(source, budget=cost)
    with pytest.raises(ExpressionError) as raised:
        value_of(source, budget=cost - 1)
    assert raised.value.code is ErrorCode.BUDGET_EXHAUSTED


def test_a_spent_budget_is_not_absorbed() -> None:
    endless = ["all", L, "i", ["all", L, "j", ["all", L, "k", True]]]
    for source in (["or", endless, True], ["exists", L, "i", ["or", endless, True]]):
        with pytest.raises(ExpressionError) as raised:
            value_of(source, budget=loaded(source).cost + 20)
        assert raised.value.code is ErrorCode.BUDGET_EXHAUSTED


def test_threads_may_share_an_expression() -> None:
    expression = load(
        ["map", ["var", "l"], "i", ["add", ["var", "i"], ["var", "x"]]],
        {},
        {"l": list_of(INT), "x": INT},
    )

    def run(x: int) -> bool:
        numbers = tuple(range(50))
        wanted = tuple(number + x for number in numbers)
        return all(expression.evaluate((numbers, x), 10_000) == wanted for _ in range(50))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, range(64)))


def test_a_condition_s_type_is_known() -> None:
    assert loaded(["has", C, "guest"]).type == BOOL
