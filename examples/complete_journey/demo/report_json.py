"""The report as JSON: what docs/demo.md documents, field by field.

Shares are numbers in ``[0, 1]`` or null of nothing, times milliseconds unless the name says
otherwise. Fields are added, never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from examples.complete_journey.demo.accuracy import Accuracy, WeekAccuracy
from examples.complete_journey.demo.claims import Claim
from examples.complete_journey.demo.latency import Latency, StageLatency
from examples.complete_journey.demo.measure import Escalation, Figures, WeekFigures
from examples.complete_journey.demo.records import TIERS, RunFacts, facts_document
from examples.complete_journey.demo.shares import Share, Spread

SCHEMA = 1

Json = dict[str, Any]


def report_document(figures: Figures, facts: RunFacts, claims: Iterable[Claim]) -> Json:
    """Return the whole report as JSON values."""
    judged = list(claims)
    return {
        "schema": SCHEMA,
        "holds": all(claim.holds for claim in judged),
        "claims": [asdict(claim) for claim in judged],
        "answers": figures.answers,
        "receipts": figures.receipts,
        "lines": figures.lines,
        "answers_outside_budget": figures.latency.outside,
        "decisions_lost": facts.settle.decisions_lost,
        "decisions_doubled": facts.settle.decisions_doubled,
        "coupon_verdicts_changed_offline": _differing(figures.coupons.offline),
        "coupon_verdicts_changed_online": _differing(figures.coupons.online),
        "coupon_verdicts_offline": figures.coupons.offline.whole,
        "coupon_verdicts_online": figures.coupons.online.whole,
        "escalated_lines_share": figures.escalation.lines.value,
        "escalated_calls_share": figures.escalation.calls.value,
        "accuracy": _accuracy(figures.accuracy),
        "weeks": {str(week.week): _week(week) for week in figures.weeks},
        "latency": _latency(figures.latency),
        "outage": {
            "answered_by_register_while_gateway_dead": _share(figures.outage.alone),
            "local_only_while_wan_cut": _share(figures.outage.local_only),
            "full_again": figures.outage.full_again and figures.outage.full_again.isoformat(),
            "full_since_then": _share(figures.outage.stayed),
        },
        "run": facts_document(facts),
    }


def _differing(same: Share) -> int:
    return same.whole - same.part


def _share(share: Share) -> Json:
    return {"share": share.value, "count": share.whole}


def _spread(spread: Spread | None) -> Json | None:
    return None if spread is None else asdict(spread)


def _accuracy(accuracy: Accuracy) -> Json:
    return {
        "total": _week_accuracy(accuracy.total),
        "by_week": {str(week): _week_accuracy(one) for week, one in accuracy.by_week.items()},
        "by_tier": _groups(accuracy.by_tier),
        "by_place": _groups(accuracy.by_place),
        "by_mode": _groups(accuracy.by_mode),
        "by_book_age": _groups(accuracy.by_book_age),
    }


def _groups(groups: Mapping[str, Share]) -> Json:
    return {name: {"accuracy": share.value, "lines": share.whole} for name, share in groups.items()}


def _week_accuracy(week: WeekAccuracy) -> Json:
    tiers = {tier: week.tiers.get(tier, Share()) for tier in TIERS}
    return {
        "all": week.served.value,
        "rule_b": None if week.rule_b is None else week.rule_b.value,
        **{tier: share.value for tier, share in tiers.items()},
        "lines": {
            "all": week.served.whole,
            **{tier: share.whole for tier, share in tiers.items()},
        },
    }


def _week(week: WeekFigures) -> Json:
    return {
        "wan_down_share": week.wan_down.value,
        "gateway_down_share": week.gateway_down.value,
        "mode": week.mode,
        "answers": week.answers,
        "book_age_days": _spread(week.book_age_days),
        "escalation": _escalation(week.escalation),
        "took_ms": _spread(week.took_ms),
    }


def _escalation(escalation: Escalation) -> Json:
    return {
        "lines_share": escalation.lines.value,
        "calls_share": escalation.calls.value,
        "all_lines_share": escalation.all_lines.value,
        "all_calls_share": escalation.all_calls.value,
    }


def _latency(latency: Latency) -> Json:
    return {
        "budget_ms": latency.budget_ms,
        "outside_terminal": latency.outside_terminal,
        "outside_gateway": latency.outside_gateway,
        "terminal_ms": _spread(latency.terminal),
        "by_place_ms": {place: asdict(spread) for place, spread in latency.by_place.items()},
        "gateway_ms": _spread(latency.gateway),
        "timer_late_ms": _spread(latency.timer_late),
        "stages": [_stage(stage) for stage in latency.stages],
    }


def _stage(stage: StageLatency) -> Json:
    return {
        "stage": stage.stage,
        "workflow": stage.workflow,
        "spent_ms": _spread(stage.spent),
        "allotted_ms": stage.allotted_ms,
        "over_allotment": stage.over,
        "results": stage.results,
    }
