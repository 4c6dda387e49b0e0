"""Rules bundles and baskets for terminals: promotions, a store coupon, an age limit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from terminal_client.core.basket import (
    Basket,
    ItemIdType,
    LaneKind,
    LineItem,
    TransactionRef,
    TransactionType,
)
from terminal_client.core.fallback import digest_of, pack
from tests.core.policies import POLICY

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
WORKFLOWS = ("promotion_validation", "age_check", "basket_validation", "recommendation")


def rules_bundle(version: str = "1.0.0", percent: int = 10) -> bytes:
    """Return a bundle with ``percent`` off everything of department DAIRY."""
    document: dict[str, Any] = {
        "schema": 1,
        "name": "store",
        "version": version,
        "as_of": AS_OF.isoformat(),
        "store_id": "367",
        "time_zone": {"name": "America/New_York", "transitions": [[0, -18000]]},
        "policy": POLICY,
        "rules": [],
        "promotions": [
            {
                "id": "dairy",
                "kind": "percent",
                "items": {"departments": ["DAIRY"]},
                "percent_bp": percent * 100,
            }
        ],
        "coupons": {},
        "tables": {"recommendation": {"items": [f"item-{n}" for n in range(20)], "count": 5}},
    }
    return pack(document)


def rules_digest(raw: bytes) -> str:
    return digest_of(raw)


def basket(number: int = 1, *, lines: int = 4, revision: int = 1, **changes: Any) -> Basket:
    """Return a reproducible basket."""
    random = Random(number)
    ref = TransactionRef(
        store_id="367",
        workstation_id="lane-1",
        business_day_date="2026-03-02",
        sequence_number=number,
        basket_id=f"basket-{number}",
        lane_kind=LaneKind.ASSISTED,
    )
    content = tuple(_line(index + 1, random) for index in range(lines))
    fields: dict[str, Any] = {
        "transaction": ref,
        "transaction_type": TransactionType.SALE,
        "currency_code": "USD",
        "lines": content,
        "evaluation_time": AS_OF + timedelta(days=1, seconds=number),
        "basket_revision": revision,
    }
    return Basket(**(fields | changes))


def baskets(count: int) -> Iterator[Basket]:
    for number in range(1, count + 1):
        yield basket(number, lines=1 + number % 30)


def _line(number: int, random: Random) -> LineItem:
    price = random.randint(50, 2000)
    quantity = random.randint(1, 3)
    return LineItem(
        line_number=number,
        item_id=f"item-{random.randint(0, 200)}",
        item_id_type=ItemIdType.SKU,
        department_id=random.choice(("DAIRY", "GROCERY", "PRODUCE")),
        quantity_milli=quantity * 1000,
        unit_code="EA",
        regular_unit_price_minor=price,
        actual_unit_price_minor=price,
        extended_minor=price * quantity,
        minimum_age_years=18 if random.random() < 0.02 else 0,
    )
