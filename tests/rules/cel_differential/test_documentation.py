"""docs/rules.md says what is so: its examples compile, its tables are complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cloud_sync.publisher.cel import CelCompiler, RuleSourceError
from cloud_sync.publisher.rules_source import RulesCompiler
from terminal_client.core.expression import ErrorCode, LoadLimits
from terminal_client.core.expression_operations import MAX_STRING_CHARS
from terminal_client.core.expression_signatures import COMPREHENSIONS, OPERATIONS
from terminal_client.core.rules import DEFAULT_RULE_LIMITS, SCHEMA, VARIABLES, Scope, read_rules

TEXT = (Path(__file__).parents[3] / "docs" / "rules.md").read_text("utf-8")
COMPILER = CelCompiler(VARIABLES[Scope.LINE], SCHEMA)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("source", "".join(blocks("cel")).splitlines())
def test_an_example_condition_compiles(source: str) -> None:
    COMPILER.compile("example", source)


def test_the_example_rules_compile_and_load() -> None:
    (authored,) = blocks("json")
    assert len(read_rules(RulesCompiler().compile(json.loads(authored))).rules) == 2


def test_the_error_shown_is_the_one_an_author_gets() -> None:
    with pytest.raises(RuleSourceError) as refused:
        COMPILER.compile("big-basket", "size(basket.lines) > 60 && 1.5 < 2.0")
    assert f"\n{refused.value}\n" in TEXT


def test_the_reference_lists_every_operation_and_error() -> None:
    operations = set(re.findall(r"`\[\"([a-z_]+)\"", TEXT))
    assert operations == {*OPERATIONS, *COMPREHENSIONS, "var", "field", "has", "list", "dict"}
    errors = TEXT.partition("### Errors")[2].partition("### Cost")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)`", errors, re.MULTILINE)) == set(ErrorCode)


def test_the_limits_are_the_ones_in_force() -> None:
    limits, rules = LoadLimits(), DEFAULT_RULE_LIMITS
    for sentence in (
        f"At most {limits.depth} levels, {limits.nodes:,} nodes and {limits.literal_chars:,} code",
        f"A rule has {rules.rule_nodes:,} for all its lines and a set {rules.set_nodes:,}",
        f"after {rules.findings:,} findings",
        f"beyond {MAX_STRING_CHARS:,} code points",
    ):
        assert sentence in TEXT
