"""What an expression's JSON may be, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from terminal_client.core.expression import ExpressionLoadError, LoadLimits, load
from terminal_client.core.expression_types import (
    BOOL,
    INT,
    STRING,
    Field,
    Schema,
    ValueType,
    list_of,
    map_of,
    message,
)

SCHEMA: Schema = {
    "Basket": {
        "lines": Field(list_of(message("Line"))),
        "owner": Field(message("Owner")),
        "guest": Field(message("Owner"), optional=True),
    },
    "Line": {"minor": Field(INT)},
    "Owner": {"name": Field(STRING)},
}
VARIABLES = {"x": INT, "s": STRING, "p": BOOL, "m": map_of(STRING, INT), "b": message("Basket")}
X, B = ["var", "x"], ["var", "b"]


def nested(depth: int) -> Any:
    source: Any = 1
    for _ in range(depth):
        source = ["neg", source]
    return source


@pytest.mark.parametrize(
    ("source", "code", "path"),
    [
        pytest.param(None, "BAD_LITERAL", (), id="null"),
        pytest.param(1.5, "BAD_LITERAL", (), id="float"),
        pytest.param({}, "BAD_LITERAL", (), id="object"),
        pytest.param(2**63, "BAD_LITERAL", (), id="above-int64"),
        pytest.param(-(2**63) - 1, "BAD_LITERAL", (), id="below-int64"),
        pytest.param("a" * 1_025, "BAD_LITERAL", (), id="text-too-long"),
        pytest.param("\ud800", "BAD_LITERAL", (), id="lone-surrogate"),
        pytest.param([], "UNKNOWN_OPERATION", (), id="empty"),
        pytest.param([1, 2], "UNKNOWN_OPERATION", (), id="no-name"),
        pytest.param(["matches", "a", "a"], "UNKNOWN_OPERATION", (), id="unknown"),
        pytest.param(["not"], "BAD_ARITY", (), id="too-few"),
        pytest.param(["not", True, True], "BAD_ARITY", (), id="too-many"),
        pytest.param(["and", True], "BAD_ARITY", (), id="and-of-one"),
        pytest.param(["var"], "BAD_ARITY", (), id="var-of-none"),
        pytest.param(["field", B], "BAD_ARITY", (), id="field-of-one"),
        pytest.param(["dict", "a"], "BAD_ARITY", (), id="half-a-pair"),
        pytest.param(["all", ["list", 1], "i"], "BAD_ARITY", (), id="no-body"),
        pytest.param(["var", "y"], "UNKNOWN_VARIABLE", (), id="unknown-variable"),
        pytest.param(["var", "__class__"], "BAD_LITERAL", (1,), id="dunder-variable"),
        pytest.param(["var", ["list"]], "BAD_LITERAL", (1,), id="computed-variable"),
        pytest.param(["field", B, "nosuch"], "UNKNOWN_FIELD", (), id="unknown-field"),
        pytest.param(["field", B, "__class__"], "BAD_LITERAL", (2,), id="dunder-field"),
        pytest.param(["field", X, "real"], "UNKNOWN_FIELD", (), id="field-of-an-int"),
        pytest.param(["has", B, "owner"], "BAD_TYPE", (), id="has-of-what-is-always-there"),
        pytest.param(["eq", 1, "a"], "BAD_TYPE", (), id="eq-of-two-types"),
        pytest.param(["eq", 1, True], "BAD_TYPE", (), id="eq-of-int-and-bool"),
        pytest.param(["eq", B, B], "BAD_TYPE", (), id="eq-of-messages"),
        pytest.param(["eq", ["list", B], ["list"]], "BAD_TYPE", (), id="eq-of-message-lists"),
        pytest.param(["eq", ["list", 1], ["list", "a"]], "BAD_TYPE", (), id="eq-of-two-lists"),
        pytest.param(["lt", ["list"], ["list"]], "BAD_TYPE", (), id="order-of-lists"),
        pytest.param(["add", True, True], "BAD_TYPE", (), id="add-of-bools"),
        pytest.param(["add", 1, "a"], "BAD_TYPE", (), id="add-of-two-types"),
        pytest.param(["sub", "a", "b"], "BAD_TYPE", (), id="sub-of-texts"),
        pytest.param(["in", 1, 1], "BAD_TYPE", (), id="in-an-int"),
        pytest.param(["in", B, ["list", B]], "BAD_TYPE", (), id="in-of-a-message"),
        pytest.param(["in", "a", ["list", 1]], "BAD_TYPE", (), id="in-of-another-type"),
        pytest.param(["index", "abc", 0], "BAD_TYPE", (), id="index-of-a-text"),
        pytest.param(["index", ["list", 1], "a"], "BAD_TYPE", (), id="index-by-a-text"),
        pytest.param(["index", ["var", "m"], 1], "BAD_TYPE", (), id="key-of-another-type"),
        pytest.param(["size", 1], "BAD_TYPE", (), id="size-of-an-int"),
        pytest.param(["if", 1, 1, 1], "BAD_TYPE", (), id="if-of-an-int"),
        pytest.param(["if", True, 1, "a"], "BAD_TYPE", (), id="if-of-two-types"),
        pytest.param(["or", True, 1], "BAD_TYPE", (), id="or-of-an-int"),
        pytest.param(["int", True], "BAD_TYPE", (), id="int-of-a-bool"),
        pytest.param(["list", 1, "a"], "BAD_TYPE", (), id="mixed-list"),
        pytest.param(["dict", "a", 1, "b", "c"], "BAD_TYPE", (), id="mixed-map"),
        pytest.param(["dict", "a", 1, 1, 1], "BAD_TYPE", (), id="mixed-keys"),
        pytest.param(["dict", True, 1], "BAD_TYPE", (), id="bool-key"),
        pytest.param(["dict", X, 1], "BAD_TYPE", (), id="computed-key"),
        pytest.param(["dict", ["list"], 1], "BAD_TYPE", (), id="list-key"),
        pytest.param(["dict", "a", 1, "a", 2], "BAD_LITERAL", (), id="key-twice"),
        pytest.param(["all", 1, "i", True], "BAD_TYPE", (1,), id="range-over-an-int"),
        pytest.param(["all", ["list", 1], "I", True], "BAD_LITERAL", (2,), id="bad-name"),
        pytest.param(["all", ["list", 1], "i", 1], "BAD_TYPE", (), id="condition-is-an-int"),
        pytest.param(["map", ["list", 1], "i", ["var", "j"]], "UNKNOWN_VARIABLE", (3,), id="body"),
        pytest.param(["not", ["not", ["neg", "a"]]], "BAD_TYPE", (1, 1), id="path"),
        pytest.param(nested(32), "TOO_DEEP", (1,) * 32, id="too-deep"),
        pytest.param(["list", *[1] * 1_000], "TOO_LARGE", (1_000,), id="too-large"),
    ],
)
def test_what_is_no_expression_is_refused_with_code_and_place(
    source: Any, code: str, path: tuple[int, ...]
) -> None:
    with pytest.raises(ExpressionLoadError) as refused:
        load(source, SCHEMA, VARIABLES)
    assert (refused.value.code, refused.value.path) == (code, path)
    assert refused.value.text in str(refused.value)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (nested(31), INT),
        (["list", *[1] * 999], list_of(INT)),
        (["list"], list_of(ValueType("none"))),
        (["list", ["list"], ["list", 1]], list_of(list_of(INT))),
        (["if", True, ["list"], ["list", "a"]], list_of(STRING)),
        (["dict", "a", ["list"], "b", ["list", 1]], map_of(STRING, list_of(INT))),
        (["add", ["list"], ["list", 1]], list_of(INT)),
        (["add", ["index", ["list"], 0], 1], INT),
        (["size", ["index", ["list"], 0]], INT),
        (["all", ["index", ["list"], 0], "i", ["var", "i"]], BOOL),
        (["filter", ["var", "m"], "k", True], list_of(STRING)),
        (["map", ["field", B, "lines"], "l", ["field", ["var", "l"], "minor"]], list_of(INT)),
        (["filter_map", ["list", 1], "i", True, "a"], list_of(STRING)),
        (["field", ["field", B, "guest"], "name"], STRING),
        (["has", B, "guest"], BOOL),
    ],
)
def test_an_expression_has_the_type_of_its_operation(source: Any, kind: ValueType) -> None:
    assert load(source, SCHEMA, VARIABLES).type == kind


def test_limits_can_be_set() -> None:
    limits = LoadLimits(depth=2, nodes=3, literal_chars=1)
    load(["add", 1, 2], {}, {}, limits)
    for source, code in (
        (["neg", ["neg", 1]], "TOO_DEEP"),
        (["list", 1, 2, 3], "TOO_LARGE"),
        ("ab", "BAD_LITERAL"),
    ):
        with pytest.raises(ExpressionLoadError, match=code):
            load(source, {}, {}, limits)


def test_types_are_written_for_people() -> None:
    assert str(map_of(STRING, list_of(message("Line")))) == "map(string, list(Line))"
