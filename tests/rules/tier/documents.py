"""A small whole bundle for tests, as the desk would publish it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cloud_sync.publisher.rules_source import RulesCompiler
from cloud_sync.publisher.zone import zone_document
from terminal_client.core.fallback import FallbackBundle, digest_of, pack
from tests.core.policies import POLICY

AS_OF = datetime(2017, 11, 27, 5, tzinfo=UTC)
COMPILER = RulesCompiler()

RULES: list[dict[str, Any]] = [
    {
        "id": "negative-total",
        "workflow": "basket_validation",
        "priority": 10,
        "when": "context.total_minor < 0",
        "verdict": "review",
        "reason_code": "TOTAL_NEGATIVE",
    },
    {
        "id": "many-of-one",
        "workflow": "basket_validation",
        "priority": 20,
        "scope": "line",
        "when": "line.quantity_milli > 50000",
        "verdict": "review",
        "reason_code": "QUANTITY_UNUSUAL",
        "prompt_id": "count_items",
        "action": "check_items",
    },
]
PROMOTIONS: list[dict[str, Any]] = []
COUPONS: dict[str, Any] = {}
TABLES: dict[str, Any] = {
    "price": {
        "plan": [{"first_date": 20171127, "last_date": 20171203, "items": ["planned"]}],
        "majority": ["usual"],
    },
    "recommendation": {"items": ["best", "second", "third"], "count": 2},
    "arrivals": {"per_hour": [[18] * 24] * 7, "service_s": 100, "lanes": 1},
    "segments": {"weekly": ["hh1"]},
}


def document(**changes: object) -> dict[str, Any]:
    """Return a bundle document; ``changes`` replace top-level keys."""
    return {
        "schema": 1,
        "name": "rules",
        "version": "1.0.0",
        "as_of": AS_OF.isoformat(),
        "store_id": "367",
        "time_zone": zone_document("America/New_York", AS_OF),
        "policy": POLICY,
        "rules": COMPILER.compile(RULES),
        "promotions": PROMOTIONS,
        "coupons": COUPONS,
        "tables": TABLES,
        **changes,
    }


def bundle(**changes: object) -> FallbackBundle:
    """Return a loaded bundle; ``changes`` replace top-level keys of its document."""
    raw = pack(document(**changes))
    return FallbackBundle.load(raw, digest_of(raw))
