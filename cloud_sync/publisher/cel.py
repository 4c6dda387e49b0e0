"""The compiler of rules: CEL text, checked by Google's checker, to the rule language's JSON.

A rule is checked against the protobuf messages it will see, then against the core's own schema:
what compiles here loads on every gateway and terminal of the same contract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from cel_expr_python import cel
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor

from cloud_sync.publisher.cel_ast import read_checked
from cloud_sync.publisher.cel_lowering import Lowering, LoweringError
from posgate.v1 import rules_pb2
from terminal_client.core.expression_ir import ExpressionLoadError, LoadLimits, check
from terminal_client.core.expression_types import BOOL, Schema, ValueType

PACKAGE: Final = "posgate.v1"
"""The protobuf package whose messages and enums a rule names without a prefix."""

_MAX_SOURCE_CHARS: Final = 16_384
_DIAGNOSTIC = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_SCALARS: Final = {"int": cel.Type.INT, "bool": cel.Type.BOOL, "string": cel.Type.STRING}
_LOAD_REMEDIES: Final = {
    "TOO_DEEP": "nest less, or make two rules of it",
    "TOO_LARGE": "make two rules of it",
    "BAD_LITERAL": "use a shorter text",
    "BAD_TYPE": "give both sides, and every element, one type that can be compared",
}


class RuleSourceError(ValueError):
    """A rule's source cannot be published.

    Attributes:
        rule_id: the rule.
        line, column: where in its source, from 1.
        problem: what is wrong.
        remedy: what to do about it.
    """

    def __init__(self, rule_id: str, line: int, column: int, problem: str, remedy: str) -> None:
        super().__init__(f"rule {rule_id} at {line}:{column}: {problem}; {remedy}")
        self.rule_id = rule_id
        self.line = line
        self.column = column
        self.problem = problem
        self.remedy = remedy


class CelCompiler:
    """Compiles expressions over one set of variables. Thread-safe."""

    def __init__(
        self,
        variables: Mapping[str, ValueType],
        schema: Schema,
        *,
        pool: descriptor_pool.DescriptorPool | None = None,
        limits: LoadLimits | None = None,
    ) -> None:
        """Declare ``variables``.

        ``pool`` holds the messages of `PACKAGE` that they name (default: the contract's);
        ``limits`` are those that the rule will be loaded under.
        """
        self._variables = dict(variables)
        self._schema = schema
        self._limits = limits or LoadLimits()
        self._pool = pool or rules_pb2.DESCRIPTOR.pool
        self._presence_unknown = frozenset(self._oneof_members())
        self._env = cel.NewEnv(
            self._pool,
            variables={name: cel_type(kind) for name, kind in variables.items()},
            container=PACKAGE,
        )

    def compile(self, rule_id: str, source: str, result: ValueType | None = BOOL) -> object:
        """Return the JSON of ``source``, whose type must be ``result`` (None: any).

        Raises:
            RuleSourceError: ``source`` is no CEL, has another type, or uses what rules may not.
        """
        if len(source) > _MAX_SOURCE_CHARS:
            raise RuleSourceError(rule_id, 1, 1, "the rule is too long", "make two rules of it")
        try:
            checked = read_checked(self._env.compile(source).serialize())
        except RuntimeError as error:
            raise _diagnosed(rule_id, str(error)) from error
        lowering = Lowering(checked, self._schema, self._presence_unknown)
        try:
            lowered = lowering.lower()
        except LoweringError as error:
            line, column = _position(checked, source, error.node_id)
            raise RuleSourceError(rule_id, line, column, error.problem, error.remedy) from error
        try:
            node = check(lowered, self._schema, self._variables, self._limits)
        except ExpressionLoadError as error:
            line, column = _position(checked, source, lowering.node_at(lowered, error.path))
            remedy = _LOAD_REMEDIES.get(error.code, "see docs/rules.md")
            raise RuleSourceError(rule_id, line, column, error.text, remedy) from error
        if result is not None and node.type != result:
            remedy = f"make it a {result}"
            raise RuleSourceError(rule_id, 1, 1, f"its type is {node.type}", remedy)
        return lowered

    def _oneof_members(self) -> list[str]:
        found = []
        for name in self._schema:
            try:
                descriptor: Descriptor = self._pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
            except KeyError:
                continue
            for field in descriptor.fields:
                oneof = field.containing_oneof
                # protoc wraps each `optional` field in a oneof of its own.
                if oneof is not None and len(oneof.fields) > 1:
                    found.append(f"{name}.{field.name}")
        return found


def cel_type(kind: ValueType) -> cel.Type:
    """Return the CEL type of ``kind``; messages are those of `PACKAGE`."""
    if kind.kind == "list":
        return cel.Type.List(cel_type(kind.parameters[0]))
    if kind.kind == "map":
        return cel.Type.Map(*map(cel_type, kind.parameters))
    if kind.kind == "message":
        return cel.Type(f"{PACKAGE}.{kind.message}")
    return _SCALARS[kind.kind]


def _diagnosed(rule_id: str, text: str) -> RuleSourceError:
    """Turn the checker's message into ours; the first of several errors counts."""
    found = _DIAGNOSTIC.search(text)
    line, column, problem = (
        (int(found[1]), int(found[2]), found[3]) if found else (1, 1, text.partition("\n")[0])
    )
    return RuleSourceError(rule_id, max(line, 1), max(column, 1), problem, _checker_remedy(problem))


def _checker_remedy(problem: str) -> str:
    if "no matching overload" in problem:
        return "use operands of one type that the operation is defined for"
    if "undeclared reference" in problem or "undefined field" in problem:
        return "use the variables, fields and functions of docs/rules.md"
    if "recursion" in problem:
        return _LOAD_REMEDIES["TOO_DEEP"]
    return "correct the syntax"


def _position(checked: Any, source: str, node_id: int) -> tuple[int, int]:
    """Return line and column, from 1, of a node; (1, 1) if the parser kept no position."""
    offset = checked.source_info.positions.get(node_id, 0)
    before = source[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
