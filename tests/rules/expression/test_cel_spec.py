"""The applicable cases of CEL's own conformance suite hold for the evaluator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from terminal_client.core.expression import ExpressionError, load
from tests.rules.expression.notation import exact, read_type, read_value

CASES = json.loads((Path(__file__).parent / "cel_spec_cases.json").read_text("utf-8"))["cases"]


def test_the_table_holds_the_suite_s_applicable_cases() -> None:
    assert len(CASES) >= 430


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['section']}/{case['name']}")
def test_cel_spec(case: dict[str, Any]) -> None:
    variables = {name: read_type(kind) for name, kind in case.get("variables", {}).items()}
    values = [read_value(case["bindings"][name]) for name in variables]
    expression = load(case["ir"], {}, variables)
    if case.get("error"):
        with pytest.raises(ExpressionError):
            expression.evaluate(values, 10_000)
    else:
        assert exact(expression.evaluate(values, 10_000)) == exact(read_value(case["value"]))
