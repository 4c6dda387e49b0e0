"""Every figure this example promises, and the comparison with what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Bound(StrEnum):
    """How a measured value is compared."""

    AT_LEAST = ">="
    AT_MOST = "<="
    EXACTLY = "=="


@dataclass(frozen=True)
class Check:
    """One promise and what was measured."""

    name: str
    bound: Bound
    floor: float
    measured: float

    @property
    def held(self) -> bool:
        """Tell whether the promise is kept; NaN never keeps one."""
        if self.bound is Bound.AT_LEAST:
            return self.measured >= self.floor
        if self.bound is Bound.AT_MOST:
            return self.measured <= self.floor
        return self.measured == self.floor


ACCEPTED_ACCURACY = 0.96
ACCEPTED_SHARE = {
    "kept": {1: 0.35, 2: 0.35, 3: 0.30, 4: 0.25},
    "missing": {1: 0.12, 2: 0.12, 3: 0.09, 4: 0.06},
}
"""Smallest share of lines the edge decides alone, by book age in weeks."""

_REDEMPTIONS = {
    "redemptions": 2102,
    "coupon_in_campaign": 2102,
    "household_was_sent_it": 2102,
    "date_in_window": 2102,
    "household_shopped": 2102,
    "ok": 1815,
    "no_qualifying_item": 263,
    "already_redeemed": 24,
}
_DOUBLING = {"coupon_lines": 21889, "doubled": 20449}
_PANEL = {"lines": 1_469_307, "model_lines": 1_442_060, "test_lines": 195_885}


def fact_checks(facts: dict[str, int]) -> list[Check]:
    """Return the exact counts of the raw data."""
    expected = _PANEL | _REDEMPTIONS | _DOUBLING
    return [
        Check(f"data {name}", Bound.EXACTLY, count, facts[name]) for name, count in expected.items()
    ]


def price_checks(figures: dict[str, Any], ages: list[dict[str, Any]]) -> list[Check]:
    """Return the price check's promises: fresh book, tiers, and every book age."""
    gain = figures["edge_accuracy"] - figures["rule_b_accuracy"]
    checks = [
        Check("price edge accuracy", Bound.AT_LEAST, 0.900, figures["edge_accuracy"]),
        Check("price deep accuracy", Bound.AT_LEAST, 0.935, figures["deep_accuracy"]),
        Check("price tiered accuracy", Bound.AT_LEAST, 0.930, figures["tiered_accuracy"]),
        Check("price escalated share", Bound.AT_MOST, 0.45, figures["escalated_share"]),
        Check("price edge minus rule B", Bound.AT_LEAST, 0.05, round(gain, 4)),
    ]
    for row in ages:
        name = f"book {row['age_weeks']} wk, plan {row['plan']}"
        share = ACCEPTED_SHARE[row["plan"]][row["age_weeks"]]
        accuracy = row["accepted_accuracy"]
        checks += [
            Check(f"{name}: accepted accuracy", Bound.AT_LEAST, ACCEPTED_ACCURACY, accuracy),
            Check(f"{name}: accepted share", Bound.AT_LEAST, share, row["accepted_share"]),
        ]
    return checks


def recommendation_checks(figures: dict[str, Any]) -> list[Check]:
    """Return the recommender's promises."""
    edge, static = figures["edge_any_at_5"], figures["static_any_at_5"]
    return [
        Check("recommendation edge any@5", Bound.AT_LEAST, 0.295, edge),
        Check("recommendation edge minus static", Bound.AT_LEAST, 0.06, round(edge - static, 4)),
        Check("recommendation deep any@5", Bound.AT_LEAST, 0.44, figures["deep_any_at_5"]),
    ]


def demand_checks(figures: dict[str, Any]) -> list[Check]:
    """Return the forecast's promise."""
    return [Check("demand wMAPE", Bound.AT_MOST, 0.18, figures["model_wmape"])]


def anomaly_checks(figures: dict[str, Any]) -> list[Check]:
    """Return guards against a broken anomaly path; on a synthetic overlay, so no promise."""
    return [
        Check("anomaly edge AUC (synthetic)", Bound.AT_LEAST, 0.93, figures["edge_line_auc"]),
        Check("anomaly forest AUC (synthetic)", Bound.AT_LEAST, 0.80, figures["forest_line_auc"]),
    ]


def table(checks: list[Check]) -> str:
    """Return the comparison as text, one line per check."""
    width = max(len(check.name) for check in checks)
    lines = [f"{'figure':<{width}}  {'floor':>12}  {'measured':>10}"]
    for check in checks:
        floor = f"{check.bound} {check.floor:.10g}"
        mark = "" if check.held else "  MISSED"
        lines.append(f"{check.name:<{width}}  {floor:>12}  {check.measured:>10.10g}{mark}")
    return "\n".join(lines)
