"""A rule set is read strictly and judged in order, within its budget, without ever raising."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from terminal_client.core.basket import Basket, LineItem
from terminal_client.core.decision import LaneAction, OperatorPrompt, Reason, Verdict
from terminal_client.core.expression import ErrorCode
from terminal_client.core.reading import DocumentError
from terminal_client.core.rule_input import RuleContext, RuleInput
from terminal_client.core.rules import RuleLimits, RuleSet, read_rule, read_rules

TOTAL = ["field", ["var", "context"], "total_minor"]
LINES = ["field", ["var", "basket"], "lines"]
MINOR = ["field", ["var", "line"], "extended_minor"]
FAILS = ["eq", ["div", 1, 0], 1]


def authored(rule_id: str, when: Any = True, **others: Any) -> dict[str, Any]:
    required = {"workflow": "basket_validation", "verdict": "review", "reason_code": "SEEN"}
    return {"id": rule_id, "when": when, **required, **others}


def given(*extended_minor: int, voided: tuple[int, ...] = (), total_minor: int = 0) -> RuleInput:
    lines = tuple(
        LineItem(line_number=number, extended_minor=minor, voided=number in voided)
        for number, minor in enumerate(extended_minor, 1)
    )
    context = RuleContext(
        store_local_date=20261123,
        store_local_minute_of_day=600,
        weekday=1,
        total_minor=total_minor,
        line_count=len(lines) - len(voided),
    )
    return RuleInput(basket=Basket(lines=lines), context=context)


def trace(rules: RuleSet, rule_input: RuleInput) -> list[tuple[str, int, ErrorCode | None]]:
    outcome = rules.evaluate(rule_input)
    return [(item.rule.rule_id, item.line_number, item.error) for item in outcome.findings]


def test_a_rule_that_holds_gives_its_verdict_reason_and_prompt() -> None:
    rules = read_rules(
        [authored("big", ["gt", TOTAL, 100], prompt_id="check-total", action="check_items")]
    )
    outcome = rules.evaluate(given(total_minor=101))
    assert outcome.verdict("basket_validation") is Verdict.REVIEW
    assert outcome.reasons("basket_validation") == (Reason(code="SEEN", rule_id="big"),)
    assert outcome.prompts("basket_validation") == (
        OperatorPrompt(prompt_id="check-total", action=LaneAction.CHECK_ITEMS),
    )
    assert (outcome.exhausted, outcome.notices) == (False, ())


def test_a_rule_that_does_not_hold_leaves_no_trace() -> None:
    outcome = read_rules([authored("big", ["gt", TOTAL, 100])]).evaluate(given(total_minor=100))
    assert outcome.findings == ()
    assert outcome.verdict("basket_validation") is Verdict.APPROVE


def test_the_highest_verdict_of_a_workflow_counts() -> None:
    rules = read_rules(
        [
            authored("a", verdict="approve"),
            authored("b", verdict="retry"),
            authored("c", verdict="review"),
            authored("d", verdict="review", workflow="age_check"),
        ]
    )
    outcome = rules.evaluate(given())
    assert outcome.verdict("basket_validation") is Verdict.RETRY
    assert outcome.verdict("age_check") is Verdict.REVIEW
    assert outcome.verdict("price_check") is Verdict.APPROVE
    assert [reason.rule_id for reason in outcome.reasons("age_check")] == ["d"]


def test_only_the_asked_workflows_are_judged() -> None:
    rules = read_rules([authored("a"), authored("b", workflow="age_check")])
    outcome = rules.evaluate(given(), workflows=("age_check",))
    assert [finding.rule.rule_id for finding in outcome.findings] == ["b"]


def test_rules_are_judged_by_priority_then_id_whatever_their_order_in_the_bundle() -> None:
    written = [
        authored("z", priority=1),
        authored("b"),
        authored("a"),
        authored("c", priority=2),
        authored("d", priority=1_001),
    ]
    for seed in range(10):
        shuffled = list(written)
        Random(seed).shuffle(shuffled)
        found = trace(read_rules(shuffled), given())
        assert [rule_id for rule_id, _, _ in found] == ["z", "c", "a", "b", "d"]


def test_a_line_rule_judges_every_line_that_is_not_voided() -> None:
    rules = read_rules([authored("dear", ["gt", MINOR, 10], scope="line", prompt_id="look")])
    rule_input = given(11, 5, 12, 13, voided=(3,))
    assert trace(rules, rule_input) == [("dear", 1, None), ("dear", 4, None)]
    outcome = rules.evaluate(rule_input)
    assert [prompt.line_number for prompt in outcome.prompts("basket_validation")] == [1, 4]


def test_the_same_prompt_is_shown_once() -> None:
    rules = read_rules([authored("a", prompt_id="look"), authored("b", prompt_id="look")])
    outcome = rules.evaluate(given())
    assert len(outcome.findings) == 2
    assert len(outcome.prompts("basket_validation")) == 1


def test_an_error_means_review_unless_the_rule_says_skip() -> None:
    strict = read_rules([authored("r", FAILS, prompt_id="look")]).evaluate(given())
    assert strict.verdict("basket_validation") is Verdict.REVIEW
    assert strict.reasons("basket_validation") == (
        Reason(code="RULE_ERROR", rule_id="r", detail="DIVIDE_BY_ZERO"),
    )
    assert strict.prompts("basket_validation") == ()
    lenient = read_rules([authored("r", FAILS, on_error="skip")]).evaluate(given())
    assert lenient.verdict("basket_validation") is Verdict.APPROVE
    assert lenient.reasons("basket_validation") == ()
    assert [finding.error for finding in lenient.findings] == [ErrorCode.DIVIDE_BY_ZERO]


def test_an_error_on_one_line_does_not_hide_the_others() -> None:
    rules = read_rules([authored("r", ["gt", ["div", 100, MINOR], 9], scope="line")])
    assert trace(rules, given(0, 10, 100)) == [("r", 1, ErrorCode.DIVIDE_BY_ZERO), ("r", 2, None)]


def quadratic(rule_id: str, **others: Any) -> dict[str, Any]:
    return authored(rule_id, ["all", LINES, "i", ["all", LINES, "j", True]], **others)


def test_a_rule_that_costs_too_much_is_cut_and_the_others_still_run() -> None:
    limits = RuleLimits(rule_nodes=100, set_nodes=1_000)
    rules = read_rules([quadratic("a"), authored("b")], limits=limits)
    outcome = rules.evaluate(given(*range(20)))
    assert trace(rules, given(*range(20))) == [
        ("a", 0, ErrorCode.BUDGET_EXHAUSTED),
        ("b", 0, None),
    ]
    assert outcome.reasons("basket_validation")[0] == Reason(
        code="BUDGET_EXHAUSTED", rule_id="a", detail="BUDGET_EXHAUSTED"
    )
    assert (outcome.spent, outcome.exhausted, outcome.notices) == (101, False, ())


def test_a_set_that_costs_too_much_ends_with_a_coded_outcome() -> None:
    limits = RuleLimits(rule_nodes=100, set_nodes=150)
    written = [quadratic("a"), quadratic("b"), authored("c"), authored("d", on_error="skip")]
    rules = read_rules(written, limits=limits)
    outcome = rules.evaluate(given(*range(20)))
    assert [(item.rule.rule_id, item.error) for item in outcome.findings] == [
        (rule_id, ErrorCode.BUDGET_EXHAUSTED) for rule_id in "abcd"
    ]
    assert outcome.exhausted
    assert outcome.notices == (Reason(code="BUDGET_EXHAUSTED"),)
    assert outcome.spent == limits.set_nodes
    assert outcome.verdict("basket_validation") is Verdict.REVIEW
    assert outcome == rules.evaluate(given(*range(20)))


def test_a_set_that_spends_its_last_node_is_not_exhausted() -> None:
    rules = read_rules([authored("a"), authored("b")], limits=RuleLimits(set_nodes=2))
    outcome = rules.evaluate(given())
    assert (outcome.spent, outcome.exhausted, len(outcome.findings)) == (2, False, 2)


def test_a_line_rule_is_charged_for_all_its_lines() -> None:
    rules = read_rules(
        [authored("r", scope="line")], limits=RuleLimits(rule_nodes=2, set_nodes=1_000)
    )
    assert trace(rules, given(1, 1)) == [("r", 1, None), ("r", 2, None)]
    assert trace(rules, given(1, 1, 1)) == [("r", 0, ErrorCode.BUDGET_EXHAUSTED)]


def test_a_line_rule_that_runs_out_in_the_middle_keeps_what_it_found() -> None:
    body = ["or", ["eq", MINOR, 1], ["all", LINES, "i", ["exists", LINES, "j", True]]]
    rules = read_rules(
        [authored("r", body, scope="line")], limits=RuleLimits(rule_nodes=80, set_nodes=1_000)
    )
    assert trace(rules, given(1, 2, 3)) == [
        ("r", 1, None),
        ("r", 2, None),
        ("r", 0, ErrorCode.BUDGET_EXHAUSTED),
    ]


def test_too_many_findings_end_the_set() -> None:
    rules = read_rules(
        [authored("a", scope="line"), authored("b"), authored("c", on_error="skip")],
        limits=RuleLimits(findings=2),
    )
    outcome = rules.evaluate(given(1, 1, 1))
    assert [(item.rule.rule_id, item.error) for item in outcome.findings[3:]] == [
        ("b", ErrorCode.BUDGET_EXHAUSTED),
        ("c", ErrorCode.BUDGET_EXHAUSTED),
    ]
    assert outcome.exhausted


def test_an_empty_set_approves_everything() -> None:
    outcome = RuleSet(()).evaluate(given(1))
    assert (outcome.findings, outcome.spent, outcome.exhausted) == ((), 0, False)


def test_two_thousand_lines_and_fifty_line_rules_fit_the_default_budget() -> None:
    when = ["and", ["gt", MINOR, 10], ["not", ["field", ["var", "line"], "voided"]]]
    rules = read_rules([authored(f"r{number}", when, scope="line") for number in range(50)])
    rule_input = given(*[1] * 2_000)
    outcome = rules.evaluate(rule_input)
    assert (outcome.findings, outcome.exhausted) == ((), False)
    lines = tuple(replace(line, extended_minor=11) for line in rule_input.basket.lines)
    crowded = replace(rule_input, basket=replace(rule_input.basket, lines=lines))
    assert len(rules.evaluate(crowded).findings) == 2_000 + 49


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param({"id": "Upper"}, "rules[0].id", id="id"),
        pytest.param({"id": None}, "rules[0].id", id="id-type"),
        pytest.param({"workflow": "a b"}, "rules[0].workflow", id="workflow"),
        pytest.param({"priority": -1}, "rules[0].priority", id="priority"),
        pytest.param({"scope": "tender"}, "rules[0].scope", id="scope"),
        pytest.param({"verdict": "decline"}, "rules[0].verdict", id="verdict"),
        pytest.param({"reason_code": "seen"}, "rules[0].reason_code", id="reason"),
        pytest.param({"prompt_id": "!"}, "rules[0].prompt_id", id="prompt"),
        pytest.param({"action": "run"}, "rules[0].action", id="action"),
        pytest.param({"on_error": "raise"}, "rules[0].on_error", id="on_error"),
        pytest.param({"cel": 1}, "rules[0].cel", id="cel"),
        pytest.param({"when": 1}, "rules[0].when", id="no-condition"),
        pytest.param({"when": ["not", 1]}, "rules[0].when", id="ill-typed"),
        pytest.param({"when": ["not", ["var", "x"]]}, "rules[0].when[1]", id="place"),
        pytest.param({"when": ["gt", MINOR, 1]}, "rules[0].when[1][1]", id="no-line-in-basket"),
        pytest.param({"extra": 1}, "rules[0].extra", id="unknown-key"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_at_its_key(
    change: dict[str, Any], path: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        read_rules([{**authored("r"), **change}])
    assert refused.value.path == path


def test_a_set_is_a_list_of_rules_with_ids_of_their_own() -> None:
    with pytest.raises(DocumentError, match=r"bundle\.rules: is not a list"):
        read_rules({}, "bundle.rules")
    with pytest.raises(DocumentError, match=r"rules\[1\]\.id: r comes twice"):
        read_rules([authored("r"), authored("r")])
    assert read_rule(authored("r", cel="true"), "rules[0]").rule_id == "r"
