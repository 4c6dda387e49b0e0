"""The conformance table's JSON is what the compiler makes of its CEL, and C++ CEL agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cel_expr_python import cel

from cloud_sync.publisher.cel import CelCompiler, cel_type
from tests.rules.expression.notation import read_type, read_value

TABLE = Path(__file__).parents[1] / "expression" / "cel_spec_cases.json"
CASES = json.loads(TABLE.read_text("utf-8"))["cases"]


def as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in value.items()}
    return [as_lists(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['section']}/{case['name']}")
def test_the_compiled_case_is_the_one_in_the_table(case: dict[str, Any]) -> None:
    variables = {name: read_type(kind) for name, kind in case.get("variables", {}).items()}
    assert CelCompiler(variables, {}).compile("case", case["cel"], None) == case["ir"]
    env = cel.NewEnv(variables={name: cel_type(kind) for name, kind in variables.items()})
    bindings = {name: as_lists(read_value(case["bindings"][name])) for name in variables}
    result = env.compile(case["cel"]).eval(data=bindings)
    if case.get("error"):
        assert result.type() == cel.Type.ERROR
    else:
        assert result.plain_value() == as_lists(read_value(case["value"]))
