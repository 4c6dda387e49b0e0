"""Our evaluator and Google's C++ CEL agree on random expressions, errors included.

``POSGATE_CEL_CASES`` asks for another number of cases, ``POSGATE_CEL_SEED`` for others.
"""

from __future__ import annotations

import os
import re
from random import Random
from typing import Any

import pytest
from cel_expr_python import cel

from cloud_sync.publisher.cel import PACKAGE, CelCompiler, RuleSourceError, cel_type
from posgate.v1 import basket_pb2
from terminal_client.core.expression import ErrorCode, ExpressionError, load
from terminal_client.core.expression_types import BOOL, INT, STRING, ValueType
from terminal_client.core.rules import SCHEMA, VARIABLES, Scope
from tests.rules.cel_differential.generator import (
    COUNTS,
    GRID,
    INTS,
    NAMES,
    STRINGS,
    VALUE_TYPES,
    Expressions,
)
from tests.rules.cel_differential.inputs import draw_input, draw_value, to_proto

CASES = int(os.environ.get("POSGATE_CEL_CASES", "20000"))
SEED = int(os.environ.get("POSGATE_CEL_SEED", "1"))
SHARDS = 10
INPUTS = 24

PLAIN: dict[str, ValueType] = {
    "a": INT,
    "b": INT,
    "p": BOOL,
    "q": BOOL,
    "s": STRING,
    "t": STRING,
    "ints": INTS,
    "strings": STRINGS,
    "counts": COUNTS,
    "names": NAMES,
    "grid": GRID,
}
# Rules are conditions, so most cases are.
KINDS = (BOOL,) * 8 + (INT,) * 4 + VALUE_TYPES
TYPES = {**VARIABLES[Scope.LINE], **PLAIN}
ENUMS = [
    f"{enum.name}.{value.name}"
    for enum in (basket_pb2.DESCRIPTOR.enum_types_by_name[n] for n in ("LaneKind", "TenderType"))
    for value in enum.values
]
# How the C++ evaluator words its errors. Where two operands fail, both evaluators report the first.
MESSAGES = (
    ("divide by zero", ErrorCode.DIVIDE_BY_ZERO),
    ("modulus by zero", ErrorCode.DIVIDE_BY_ZERO),
    ("integer overflow", ErrorCode.OVERFLOW),
    ("Key not found", ErrorCode.NO_SUCH_KEY),
    ("Index error", ErrorCode.INDEX_OUT_OF_RANGE),
    ("cannot convert string to int", ErrorCode.INVALID_CONVERSION),
    ("Type conversion error", ErrorCode.INVALID_CONVERSION),
)
# The C++ evaluator goes on after an item that fails in these and reports the last error; ours stops
# at the first. CEL leaves open which of several errors is reported.
LAST_ERROR = re.compile(r"'(filter|filter_map|exists_one)'")


def exact(value: Any) -> Any:
    """A form in which true differs from 1, and a tuple is a list."""
    if isinstance(value, dict):
        return sorted((exact(key), exact(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return [exact(item) for item in value]
    return (type(value).__name__ if not isinstance(value, int) else str(value), str(value))


def cpp_answer(expression: Any, activation: Any) -> Any:
    result = expression.eval(activation)
    if result.type() != cel.Type.ERROR:
        return exact(result.plain_value())
    text = str(result.value())
    return next((code for words, code in MESSAGES if words in text), text)


def our_answer(expression: Any, values: list[Any]) -> Any:
    try:
        return exact(expression.evaluate(values, 10**9))
    except ExpressionError as error:
        return error.code


class Bench:
    """Both evaluators, and the inputs they share."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.compiler = CelCompiler(TYPES, SCHEMA)
        self.env = cel.NewEnv(
            variables={name: cel_type(kind) for name, kind in TYPES.items()}, container=PACKAGE
        )
        self.inputs = [self._input() for _ in range(INPUTS)]

    def _input(self) -> tuple[list[Any], Any]:
        drawn = draw_input(self.random)
        while not drawn.basket.lines:
            drawn = draw_input(self.random)
        proto = to_proto(drawn, SCHEMA)
        plain = {name: draw_value(self.random, kind) for name, kind in PLAIN.items()}
        ours = [drawn.basket, drawn.context, drawn.basket.lines[0], *plain.values()]
        theirs = {"basket": proto.basket, "context": proto.context, "line": proto.basket.lines[0]}
        lists = {k: self._lists(v) for k, v in plain.items()}
        return ours, self.env.Activation({**theirs, **lists})

    def _lists(self, value: Any) -> Any:
        return [self._lists(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_evaluator_agrees_with_cpp_cel_on_random_expressions(shard: int) -> None:
    random = Random(SEED * 1_000 + shard)
    bench = Bench(random)
    values = errors = untyped = 0
    while values + errors < CASES // SHARDS:
        kind = random.choice(KINDS)
        source = Expressions(random, TYPES, SCHEMA, ENUMS).draw(kind, random.randint(1, 4))
        try:
            lowered = bench.compiler.compile("random", source, None)
        except RuleSourceError as error:
            # An empty literal whose items nothing types, or that the checker gave another type
            # than the one it was drawn for.
            if not error.problem.startswith(("dyn is not allowed", "found no matching overload")):
                raise
            untyped += 1
            continue
        ours = load(lowered, SCHEMA, TYPES)
        variables, activation = random.choice(bench.inputs)
        expected = cpp_answer(bench.env.compile(source), activation)
        answer = our_answer(ours, variables)
        if LAST_ERROR.search(str(lowered)) and isinstance(answer, ErrorCode):
            assert isinstance(expected, ErrorCode), source
        else:
            assert answer == expected, source
        errors += isinstance(expected, ErrorCode)
        values += not isinstance(expected, ErrorCode)
    # Both kinds of outcome must be well represented for the agreement to mean something.
    assert values > errors > values // 20
    assert untyped < values // 20
