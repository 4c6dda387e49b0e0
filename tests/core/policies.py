"""A small whole policy for tests, as its author would write it."""

from __future__ import annotations

import copy
from typing import Any

_TIERS = ["edge_model", "deep_model", "rules"]

POLICY: dict[str, Any] = {
    "workflows": {
        "price_check": {
            "kind": "price_check",
            "budget_ms": 80,
            "stages_ms": {"features": 5, "edge": 10, "deep": 50, "rules": 10},
            "tiers": _TIERS,
            "priority": "payment",
            "edge_model": "promo_price_edge",
            "deep_model": "promo_price_deep",
            "edge_bands": [
                {"age_days_max": 7, "low": 0.08, "high": 0.92},
                {"age_days_max": 14, "low": 0.03, "high": 0.97, "missing": ["plan"]},
            ],
            "deep_bands": [{"age_days_max": 28, "low": 0.3, "high": 0.7}],
            "influence": ["expected", "review_flag"],
            "contradiction": {"low": 0.02, "high": 0.98},
        },
        "promotion_validation": {
            "kind": "promotion_validation",
            "budget_ms": 60,
            "tiers": ["rules"],
            "highest_verdict": "retry",
        },
        "age_check": {"kind": "age_check", "budget_ms": 60, "tiers": ["rules"]},
        "recommendation": {"kind": "recommendation", "budget_ms": 60, "tiers": ["rules"]},
        "queue_estimate": {"kind": "queue_estimate", "budget_ms": 60, "tiers": ["rules"]},
        "basket_validation": {"kind": "basket_validation", "budget_ms": 60, "tiers": ["rules"]},
    },
    "modes": {
        "full": {"tiers": _TIERS},
        "cloud_assisted": {"tiers": ["deep_model", "rules"]},
        "local_only": {"tiers": ["edge_model", "rules"], "alerts": ["WAN_DOWN"]},
        "emergency": {"tiers": ["rules"], "cashier_prompt": "checkout_limited"},
    },
    "freshness": {
        "models": {"fresh_days": 60, "usable_days": 180},
        "rules": {"fresh_days": 7, "usable_days": 28},
        "features": {"fresh_days": 7, "usable_days": 28},
    },
    "pin_lifetime_s": 1800,
    "rise_after_ms": 5000,
    "expired_rules": "keep",
    "clock_tolerance_s": 60,
}


def policy_with(path: str, value: object) -> dict[str, Any]:
    """Return the policy with ``value`` at a dotted ``path``; None removes the key."""
    document = copy.deepcopy(POLICY)
    *parents, last = path.split(".")
    place: Any = document
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document
