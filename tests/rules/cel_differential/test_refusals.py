"""What rules may not be written in, and what their author is told instead."""

from __future__ import annotations

import pytest
from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, wrappers_pb2

from cloud_sync.publisher.cel import CelCompiler, RuleSourceError
from cloud_sync.publisher.cel_ast import read_checked
from cloud_sync.publisher.cel_lowering import Lowering, LoweringError
from terminal_client.core.expression import LoadLimits
from terminal_client.core.expression_types import INT, Field, message
from terminal_client.core.rules import SCHEMA, VARIABLES, Scope

COMPILER = CelCompiler(VARIABLES[Scope.LINE], SCHEMA)

TIME = "use context.store_local_date"


@pytest.mark.parametrize(
    ("source", "place", "problem", "remedy"),
    [
        pytest.param(
            "line.extended_minor > 1.5",
            (1, 21),
            "no matching overload",
            "one type",
            id="mixed-double",
        ),
        pytest.param("1.5 < 2.0", (1, 1), "double", "minor units", id="double"),
        pytest.param("double(1) < double(2)", (1, 7), "double", "minor units", id="to-double"),
        pytest.param("1u < 2u", (1, 1), "uint", "without u", id="uint"),
        pytest.param("uint(1) == uint(2)", (1, 5), "uint", "without u", id="to-uint"),
        pytest.param(
            "line.item_id.matches('^4')", (1, 21), "regular expression", "startsWith", id="regex"
        ),
        pytest.param(
            "matches(line.item_id, '4')",
            (1, 8),
            "regular expression",
            "startsWith",
            id="regex-call",
        ),
        pytest.param("dyn(1) == 1", (1, 4), "dyn", "leave out dyn()", id="dyn"),
        pytest.param("type(1) == int", (1, 5), "type()", "published", id="type"),
        pytest.param("b'a' == b'b'", (1, 1), "bytes", "text", id="bytes"),
        pytest.param("basket.basket_pin == b''", (1, 7), "bytes", "text", id="bytes-field"),
        pytest.param("null == null", (1, 1), "null", "has(", id="null"),
        pytest.param(
            "basket.evaluation_time > line.entered_time", (1, 7), "timestamp", TIME, id="time-field"
        ),
        pytest.param(
            "timestamp('x') == timestamp('x')", (1, 10), "timestamp", TIME, id="timestamp"
        ),
        pytest.param("duration('1s') == duration('1s')", (1, 9), "duration", TIME, id="duration"),
        pytest.param(
            "line.attributes[0].double_value == 1.0",
            (1, 19),
            "double",
            "minor units",
            id="double-field",
        ),
        pytest.param(
            "has(line.attributes[0].int_value)", (1, 4), "oneof", "compare its value", id="oneof"
        ),
        pytest.param(
            "has(basket.transaction)",
            (1, 4),
            "always there",
            "compare its fields",
            id="has-message",
        ),
        pytest.param(
            "has(basket.evaluation_time)",
            (1, 4),
            "cannot read Basket.evaluation_time",
            "docs/rules.md",
            id="has-time",
        ),
        pytest.param(
            "line == basket.lines[0]",
            (1, 6),
            "eq of (LineItem, LineItem)",
            "one type",
            id="messages",
        ),
        pytest.param(
            "LineItem{item_id: 'a'}.voided",
            (1, 1),
            "building a posgate.v1.LineItem",
            "its fields",
            id="build",
        ),
        pytest.param(
            "google.protobuf.Int64Value{value: 1} == 1",
            (1, 1),
            "building",
            "its fields",
            id="wrapper",
        ),
        pytest.param(
            "[1, 'a'].size() == 2", (1, 1), "string among int", "one type", id="mixed-list"
        ),
        pytest.param(
            "[1, 'a'].exists(i, i == 1)", (1, 20), "dyn", "same type", id="mixed-variable"
        ),
        pytest.param(
            "{true: 1}[true] == 1", (1, 2), "computed or bool key", "literal", id="bool-key"
        ),
        pytest.param(
            "{line.item_id: 1}.a == 1", (1, 6), "computed or bool key", "literal", id="computed-key"
        ),
        pytest.param("{'a': 1, 'a': 2}.a == 1", (1, 10), "comes twice", "drop one", id="key-twice"),
        pytest.param("[1].all(Item, Item > 0)", (1, 8), "'Item'", "[a-z]", id="name"),
        pytest.param("[1].all(Item, true)", (1, 8), "'Item'", "[a-z]", id="unused-name"),
        pytest.param("line.nosuch == 1", (1, 5), "undefined field", "docs/rules.md", id="field"),
        pytest.param(
            "tender.x == 1", (1, 7), "undeclared reference", "docs/rules.md", id="variable"
        ),
        pytest.param(
            "line.item_id.lowerAscii() == ''",
            (1, 24),
            "undeclared reference",
            "docs/rules.md",
            id="function",
        ),
        pytest.param(
            "true &&\n  line.item_id == 1",
            (2, 16),
            "no matching overload",
            "one type",
            id="second-line",
        ),
        pytest.param(
            "true &&\n  1.0 == 1.0", (2, 3), "double", "minor units", id="second-line-of-ours"
        ),
        pytest.param("true &&", (1, 8), "Syntax error", "correct the syntax", id="syntax"),
        pytest.param("", (1, 1), "Syntax error", "correct the syntax", id="empty"),
        pytest.param(
            "line.extended_minor", (1, 1), "its type is int", "make it a bool", id="no-condition"
        ),
        pytest.param(
            "'" + "a" * 1_025 + "' == ''", (1, 1_029), "a str", "shorter text", id="long-text"
        ),
        pytest.param(
            " && ".join(["line.voided"] * 600), (1, 7_486), "nodes", "two rules", id="too-large"
        ),
        pytest.param("true" + " " * 16_381, (1, 1), "too long", "two rules", id="too-long"),
    ],
)
def test_what_a_rule_may_not_use_is_named_with_rule_place_and_remedy(
    source: str, place: tuple[int, int], problem: str, remedy: str
) -> None:
    with pytest.raises(RuleSourceError) as refused:
        COMPILER.compile("the-rule", source)
    error = refused.value
    assert (error.line, error.column) == place
    assert problem in error.problem
    assert remedy in error.remedy
    assert str(error).startswith(f"rule the-rule at {place[0]}:{place[1]}: ")


@pytest.mark.parametrize(
    "source",
    ["size([" * 20 + "1" + "])" * 20 + " == 1", " + ".join(["line.line_number"] * 40) + " == 1"],
)
def test_text_nested_deeper_than_the_parser_goes_is_refused(source: str) -> None:
    with pytest.raises(RuleSourceError, match="recursion") as refused:
        COMPILER.compile("rule", source)
    assert (refused.value.line, refused.value.column) == (1, 1)
    assert "two rules" in refused.value.remedy


def test_an_expression_that_is_too_deep_is_refused_where_it_is() -> None:
    compiler = CelCompiler({"x": INT}, {"Unknown": {}}, limits=LoadLimits(depth=3))
    assert compiler.compile("rule", "x + 1 == 1") == ["eq", ["add", ["var", "x"], 1], 1]
    with pytest.raises(RuleSourceError, match="rule rule at 1:13: over 3 levels; nest less"):
        compiler.compile("rule", "1 == x * (1 + 1)")


def other_contract() -> descriptor_pool.DescriptorPool:
    """A pool whose message has fields of types that ours has not."""
    file = descriptor_pb2.FileDescriptorProto(
        name="other.proto", package="posgate.v1", syntax="proto3"
    )
    sample = file.message_type.add(name="Sample")
    label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    sample.field.add(
        name="maybe",
        number=1,
        label=label,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
        type_name=".google.protobuf.Int64Value",
    )
    sample.field.add(
        name="later", number=2, label=label, type=descriptor_pb2.FieldDescriptorProto.TYPE_INT64
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return pool


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("sample.maybe == 1", "a wrapper is not allowed"),
        ("sample.later == 1", "rules cannot read Sample.later"),
    ],
)
def test_a_contract_that_has_more_than_rules_read_is_refused_field_by_field(
    source: str, problem: str
) -> None:
    schema = {"Sample": {"line_number": Field(INT)}}
    compiler = CelCompiler({"sample": message("Sample")}, schema, pool=other_contract())
    with pytest.raises(RuleSourceError, match=problem):
        compiler.compile("rule", source)


def test_a_function_that_the_checker_knows_and_rules_do_not_is_refused() -> None:
    overload = cel.Overload("round_up_int", cel.Type.INT, [cel.Type.INT])
    env = cel.NewEnv(functions=[cel.FunctionDecl("round_up", [overload])])
    checked = read_checked(env.compile("round_up(1) == 1").serialize())
    with pytest.raises(LoweringError, match="the function round_up is not allowed"):
        Lowering(checked, {}, frozenset()).lower()
