"""What rules may be written in, and what an author is told about the rest."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import any_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from cloud_sync.publisher.cel import CelCompiler, RuleSourceError
from cloud_sync.publisher.cel_ast import read_checked
from cloud_sync.publisher.rules_source import RulesCompiler, RulesSourceError
from posgate.v1 import rules_pb2
from terminal_client.core.expression import LoadLimits, load
from terminal_client.core.expression_types import (
    BOOL,
    INT,
    STRING,
    Field,
    ValueType,
    list_of,
    map_of,
    message,
)
from terminal_client.core.reading import DocumentError
from terminal_client.core.rules import SCHEMA, VARIABLES, Scope, read_rules

COMPILER = CelCompiler(VARIABLES[Scope.LINE], SCHEMA)
LINE, BASKET = ["var", "line"], ["var", "basket"]
LANE_KIND = ["field", ["field", BASKET, "transaction"], "lane_kind"]


@pytest.mark.parametrize(
    ("source", "lowered"),
    [
        ("basket.transaction.lane_kind == LaneKind.LANE_KIND_KIOSK", ["eq", LANE_KIND, 3]),
        ("posgate.v1.LaneKind.LANE_KIND_KIOSK == 3", ["eq", 3, 3]),
        ("has(basket.currency_exponent)", ["has", BASKET, "currency_exponent"]),
        (
            "has(context.artifact_age_days.rules)",
            ["in", "rules", ["field", ["var", "context"], "artifact_age_days"]],
        ),
        (
            "line.voided && (true && false) && !true",
            ["and", ["field", LINE, "voided"], True, False, ["not", True]],
        ),
        ("(true || false) && true", ["and", ["or", True, False], True]),
        (
            "int(5) == 5 && string('a') == 'a' && bool(true)",
            ["and", ["eq", 5, 5], ["eq", "a", "a"], True],
        ),
        ("int('5') == 5", ["eq", ["int", "5"], 5]),
        ("[1].all(i, i > 0)", ["all", ["list", 1], "i", ["gt", ["var", "i"], 0]]),
        ("[1].exists(i, i > 0)", ["exists", ["list", 1], "i", ["gt", ["var", "i"], 0]]),
        ("[1].map(i, 2) == []", ["eq", ["map", ["list", 1], "i", 2], ["list"]]),
        ("[1].exists_one(i, i > 0)", ["exists_one", ["list", 1], "i", ["gt", ["var", "i"], 0]]),
        (
            "[1].filter(i, i > 0) == []",
            ["eq", ["filter", ["list", 1], "i", ["gt", ["var", "i"], 0]], ["list"]],
        ),
        (
            "[1].map(i, i > 0, i) == []",
            ["eq", ["filter", ["list", 1], "i", ["gt", ["var", "i"], 0]], ["list"]],
        ),
        (
            "[1].map(i, i > 0, 2) == []",
            ["eq", ["filter_map", ["list", 1], "i", ["gt", ["var", "i"], 0], 2], ["list"]],
        ),
        (
            "{'a': 1}.a == {2: 1}[2]",
            ["eq", ["index", ["dict", "a", 1], "a"], ["index", ["dict", 2, 1], 2]],
        ),
        ("1 == 1 // why", ["eq", 1, 1]),
    ],
)
def test_cel_becomes_json(source: str, lowered: Any) -> None:
    compiled = COMPILER.compile("rule", source)
    assert compiled == lowered
    assert load(compiled, SCHEMA, VARIABLES[Scope.LINE]).type == BOOL


def test_a_compiler_may_ask_for_less_than_the_default_limits() -> None:
    compiler = CelCompiler({"x": INT}, {}, limits=LoadLimits(nodes=3))
    assert compiler.compile("rule", "x == 1") == ["eq", ["var", "x"], 1]
    with pytest.raises(RuleSourceError, match="over 3 nodes"):
        compiler.compile("rule", "x + 1 == 1")


def test_every_type_can_be_declared() -> None:
    types = {"n": map_of(STRING, list_of(INT)), "p": BOOL, "line": message("LineItem")}
    compiled = CelCompiler(types, SCHEMA).compile("rule", "p && n.a[0] == line.line_number")
    assert load(compiled, SCHEMA, types).type == BOOL


def test_bytes_that_are_no_checked_expression_are_not_read() -> None:
    with pytest.raises(ValueError, match=r"not cel\.expr\.CheckedExpr"):
        read_checked(any_pb2.Any(type_url="type.googleapis.com/other").SerializeToString())


def contract_type(field: FieldDescriptor, *, single: bool = False) -> ValueType | None:
    """The type that CEL gives the field, or None for one that rules cannot read."""
    of: Descriptor | None = field.message_type
    if of is not None and of.GetOptions().map_entry:
        key, value = (contract_type(of.fields_by_name[name]) for name in ("key", "value"))
        return map_of(key, value) if key is not None and value is not None else None
    if field.is_repeated and not single:
        item = contract_type(field, single=True)
        return list_of(item) if item is not None else None
    if of is not None:
        return message(of.name) if of.file.package == "posgate.v1" else None
    return {
        FieldDescriptor.CPPTYPE_INT32: INT,
        FieldDescriptor.CPPTYPE_INT64: INT,
        FieldDescriptor.CPPTYPE_ENUM: INT,
        FieldDescriptor.CPPTYPE_BOOL: BOOL,
    }.get(field.cpp_type, STRING if field.type == FieldDescriptor.TYPE_STRING else None)


@pytest.mark.parametrize("name", sorted(SCHEMA.keys() - {"RuleInput"}))
def test_rules_read_exactly_what_the_contract_and_the_core_have(name: str) -> None:
    descriptor = rules_pb2.DESCRIPTOR.pool.FindMessageTypeByName(f"posgate.v1.{name}")
    expected = {}
    for field in descriptor.fields:
        kind = contract_type(field)
        if kind is not None:
            oneof = field.containing_oneof
            expected[field.name] = Field(
                kind, optional=oneof is not None and len(oneof.fields) == 1
            )
    assert SCHEMA[name] == expected


AUTHORED = {"workflow": "basket_validation", "verdict": "review", "reason_code": "SEEN"}


def test_authored_rules_become_a_bundle_s_rules() -> None:
    compiled = RulesCompiler().compile(
        [
            {"id": "a", "when": "context.total_minor > 5", **AUTHORED},
            {"id": "b", "when": "line.voided", "scope": "line", **AUTHORED},
        ]
    )
    assert compiled[1] == {
        "id": "b",
        "scope": "line",
        "when": ["field", LINE, "voided"],
        "cel": "line.voided",
        **AUTHORED,
    }
    assert [rule.rule_id for rule in read_rules(compiled).rules] == ["a", "b"]


def test_all_errors_of_all_rules_are_told_at_once() -> None:
    with pytest.raises(RulesSourceError) as refused:
        RulesCompiler().compile(
            [
                {"id": "a", "when": "1.0 == 1.0", **AUTHORED},
                {"id": "b", "when": 1, **AUTHORED},
                {"id": "c", "when": "true", **AUTHORED},
                {"id": "d", "when": "line.voided", **AUTHORED},
                {"id": "e", "when": "true", "scope": "tender", **AUTHORED},
                {"id": "f", "when": "true", **AUTHORED, "verdict": "decline"},
                "g",
            ]
        )
    places = [
        error.rule_id if isinstance(error, RuleSourceError) else error.path
        for error in refused.value.errors
    ]
    assert places == ["a", "rules[1].when", "d", "rules[4].scope", "rules[5].verdict", "rules[6]"]
    assert len(str(refused.value).splitlines()) == len(places)


def test_a_rule_s_id_is_its_own_and_rules_are_a_list() -> None:
    rule = {"id": "a", "when": "true", **AUTHORED}
    with pytest.raises(RulesSourceError, match="a comes twice") as refused:
        RulesCompiler().compile([rule, rule])
    assert isinstance(refused.value.errors[0], DocumentError)
    with pytest.raises(RulesSourceError, match="rules: is not a list"):
        RulesCompiler().compile({})
