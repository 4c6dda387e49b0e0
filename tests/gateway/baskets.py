"""Baskets and requests for tests of serving."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import encode_request
from terminal_client.core.basket import (
    AppliedDiscount,
    Basket,
    DiscountKind,
    LineItem,
    TransactionRef,
)
from tests.gateway.bundles import NOW, STORE

_ids = count(1)


def line(number: int, item: str, *, price: int = 250, loyalty: int = 0, **more: Any) -> LineItem:
    discounts = (
        (AppliedDiscount(kind=DiscountKind.LOYALTY, amount_minor=loyalty),) if loyalty else ()
    )
    return LineItem(
        line_number=number,
        item_id=item,
        regular_unit_price_minor=price,
        actual_unit_price_minor=price - loyalty,
        extended_minor=price - loyalty,
        discounts=discounts,
        **more,
    )


def basket(items: Iterable[str | LineItem], *, at: datetime = NOW, **more: Any) -> Basket:
    lines = tuple(
        line(number, item) if isinstance(item, str) else item
        for number, item in enumerate(items, 1)
    )
    return Basket(
        transaction=TransactionRef(
            store_id=STORE, workstation_id="4", business_day_date="2017-11-22", sequence_number=7
        ),
        currency_code="USD",
        lines=lines,
        evaluation_time=at,
        **more,
    )


def request(
    whole: Basket | None,
    *workflows: str,
    request_id: str = "",
    budget: timedelta | None = None,
) -> bytes:
    """Return the bytes of a request with an id of its own."""
    message: pb.EvaluateRequest = encode_request(
        request_id or f"request-{next(_ids)}", whole, workflows or ("price_check",), budget
    )
    return message.SerializeToString()
