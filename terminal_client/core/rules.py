"""The rules: signed statements about a basket or a line, judged the same way on every machine.

Owns reading a rule set and evaluating it. A rule set is immutable and thread-safe; evaluating it
is a pure function of the input, always ends within the set's budget and never raises: a rule that
has no value, or no budget left, becomes a finding with a code.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from terminal_client.core.basket import LineItem
from terminal_client.core.decision import LaneAction
from terminal_client.core.expression import (
    ErrorCode,
    Expression,
    ExpressionError,
    ExpressionLoadError,
    Frame,
    Run,
    load,
)
from terminal_client.core.expression_types import BOOL, ValueType, message, schema_of
from terminal_client.core.policy import VERDICTS
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.rule import (
    BUDGET_EXHAUSTED,
    RULE_ERROR,
    Finding,
    OnError,
    Rule,
    RuleOutcome,
    Scope,
)
from terminal_client.core.rule_input import RuleInput

__all__ = [
    "BUDGET_EXHAUSTED",
    "DEFAULT_RULE_LIMITS",
    "RULE_ERROR",
    "SCHEMA",
    "VARIABLES",
    "Finding",
    "OnError",
    "Rule",
    "RuleLimits",
    "RuleOutcome",
    "RuleSet",
    "Scope",
    "read_rule",
    "read_rules",
]

# NamedValue.kind is the core's own: the contract has no such field.
SCHEMA: Final = schema_of(RuleInput, hidden=("NamedValue.kind",))
"""What rules can read: message name -> field name -> field."""

_BASKET_VARIABLES: Final = {"basket": message("Basket"), "context": message("RuleContext")}
VARIABLES: Final[Mapping[Scope, Mapping[str, ValueType]]] = {
    Scope.BASKET: _BASKET_VARIABLES,
    Scope.LINE: {**_BASKET_VARIABLES, "line": message("LineItem")},
}
"""The variables of a rule's condition, by scope."""

_LINE_SLOT: Final = 3
# A line and its number, or (0, None) for the basket.
_Subject = tuple[int, LineItem | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLimits:
    """What evaluating a set may cost at most.

    ``rule_nodes`` and ``set_nodes`` are nodes charged (docs/rules.md); a rule's allowance is
    shared by its lines. Once there are ``findings`` findings, the rules that are left find
    nothing but BUDGET_EXHAUSTED.
    """

    rule_nodes: int = 250_000
    set_nodes: int = 2_000_000
    findings: int = 2_000


DEFAULT_RULE_LIMITS: Final = RuleLimits()


class RuleSet:
    """Rules in their order: priority, then id.

    Attributes:
        rules: all of them.
    """

    def __init__(self, rules: Iterable[Rule], limits: RuleLimits = DEFAULT_RULE_LIMITS) -> None:
        self.rules: tuple[Rule, ...] = tuple(
            sorted(rules, key=lambda rule: (rule.priority, rule.rule_id))
        )
        self._limits = limits
        self._slots = max((rule.when.slots for rule in self.rules), default=0)
        self._by_line = any(rule.scope is Scope.LINE for rule in self.rules)
        # What the loop below needs of each rule, looked up once.
        self._steps = tuple(
            (rule, rule.when.run, rule.when.cost, rule.scope is Scope.LINE) for rule in self.rules
        )

    def evaluate(
        self, rule_input: RuleInput, workflows: Collection[str] | None = None
    ) -> RuleOutcome:
        """Judge every rule, or those of ``workflows``; rules of scope line, every line not voided.

        ``rule_input.line`` is not read. Never raises for any input that the contract can express.
        """
        basket = rule_input.basket
        frame: Frame = [0, basket, rule_input.context, *[None] * self._slots]
        whole: list[_Subject] = [(0, None)]
        lines: list[_Subject] = []
        if self._by_line:
            lines = [(line.line_number, line) for line in basket.lines if not line.voided]
        limits, left, exhausted = self._limits, self._limits.set_nodes, False
        findings: list[Finding] = []
        for rule, run, cost, by_line in self._steps:
            if workflows is not None and rule.workflow not in workflows:
                continue
            if len(findings) >= limits.findings:
                left = 0
            subjects = lines if by_line else whole
            allowance = limits.rule_nodes if limits.rule_nodes < left else left
            frame[0] = allowance - cost * len(subjects)
            _judge(rule, run, frame, subjects, findings)
            if frame[0] < 0:
                findings.append(Finding(rule, 0, ErrorCode.BUDGET_EXHAUSTED))
                exhausted |= allowance == left
                frame[0] = 0
            left -= allowance - frame[0]
        spent = limits.set_nodes - left
        return RuleOutcome(findings=tuple(findings), spent=spent, exhausted=exhausted)


def _judge(
    rule: Rule,
    run: Run,
    frame: Frame,
    subjects: list[_Subject],
    findings: list[Finding],
) -> None:
    """Append what ``rule`` finds on ``subjects``, until the budget in the frame is below zero."""
    if frame[0] < 0:
        return
    for number, frame[_LINE_SLOT] in subjects:
        try:
            if run(frame):
                findings.append(Finding(rule, number))
        except ExpressionError as error:
            if frame[0] < 0:
                return
            findings.append(Finding(rule, number, error.code))


_RULE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_WORKFLOW = re.compile(r"[a-z][a-z0-9_]{0,63}")
_REASON_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_PROMPT_ID = re.compile(r"([a-z0-9][a-z0-9._-]{0,63})?")
_ACTIONS: Final = {action.name.lower(): action for action in LaneAction}


def read_rules(
    value: object, path: str = "rules", limits: RuleLimits = DEFAULT_RULE_LIMITS
) -> RuleSet:
    """Read a rule set from its JSON value, a list of rules.

    Raises:
        DocumentError: a rule is missing something, mistyped, unknown or does not load.
    """
    if not isinstance(value, list | tuple):
        raise DocumentError(path, "is not a list", "write [...]")
    rules = [read_rule(item, f"{path}[{number}]") for number, item in enumerate(value)]
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        if rule.rule_id in seen:
            raise DocumentError(f"{path}[{number}].id", f"{rule.rule_id} comes twice", "rename one")
        seen.add(rule.rule_id)
    return RuleSet(rules, limits)


def read_rule(value: object, path: str) -> Rule:
    """Read one rule from its JSON value.

    Raises:
        DocumentError: the rule is missing something, mistyped, unknown or does not load.
    """
    fields = Fields(value, path)
    scope = fields.choice("scope", {scope.value: scope for scope in Scope}, "basket")
    rule = Rule(
        rule_id=_name(fields, "id", _RULE_ID),
        workflow=_name(fields, "workflow", _WORKFLOW),
        priority=fields.integer("priority", 0, 1_000_000, 1_000),
        scope=scope,
        when=_condition(fields, scope),
        verdict=fields.choice("verdict", VERDICTS),
        reason_code=_name(fields, "reason_code", _REASON_CODE),
        prompt_id=_name(fields, "prompt_id", _PROMPT_ID, ""),
        action=fields.choice("action", _ACTIONS, "none"),
        on_error=fields.choice("on_error", {word.value: word for word in OnError}, "review"),
    )
    # The text that the condition was compiled from: for people, never evaluated.
    fields.text("cel", "", 16_384)
    fields.close()
    return rule


def _name(fields: Fields, key: str, pattern: re.Pattern[str], default: str | None = None) -> str:
    name = fields.text(key, default)
    if not pattern.fullmatch(name):
        raise DocumentError(fields.at(key), f"is {name!r:.40}", f"match {pattern.pattern}")
    return name


def _condition(fields: Fields, scope: Scope) -> Expression:
    source = fields.raw("when")
    try:
        condition = load(source, SCHEMA, VARIABLES[scope])
    except ExpressionLoadError as error:
        place = "".join(f"[{index}]" for index in error.path)
        raise DocumentError(
            f"{fields.at('when')}{place}", f"{error.code}: {error.text}", "compile the rule anew"
        ) from error
    if condition.type != BOOL:
        raise DocumentError(fields.at("when"), f"is {condition.type}", "write a condition: a bool")
    return condition
