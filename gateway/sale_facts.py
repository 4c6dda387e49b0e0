"""What the box keeps track of in a basket: whose sale it is, and which items it sells.

Owns which lines count for the store's log: sold ones. Voided lines, the lines that take
them back, returned goods and training baskets do not.
"""

from __future__ import annotations

from cloud_sync.records import ItemLines, SaleFacts
from terminal_client.core.basket import (
    Basket,
    DiscountKind,
    LineItem,
    TransactionRef,
    TransactionType,
)

_COUNTED = frozenset({TransactionType.UNSPECIFIED, TransactionType.SALE, TransactionType.EXCHANGE})


def sale_key(transaction: TransactionRef) -> str:
    """Return the POSLog natural key as one text; empty when the POS did not set it."""
    if not transaction.workstation_id or not transaction.business_day_date:
        return ""
    return "/".join(
        (
            transaction.store_id,
            transaction.workstation_id,
            transaction.business_day_date,
            str(transaction.sequence_number),
        )
    )


def sale_facts(basket: Basket | None) -> SaleFacts:
    """Return what is kept track of; nothing for a question without a basket."""
    if basket is None:
        return SaleFacts()
    day = basket.transaction.business_day_date
    return SaleFacts(
        sale_key=sale_key(basket.transaction),
        business_day=int(day.replace("-", "")) if day else 0,
        basket_revision=basket.basket_revision,
        items=_items(basket) if basket.transaction_type in _COUNTED else (),
    )


def _items(basket: Basket) -> tuple[ItemLines, ...]:
    counts: dict[str, tuple[int, int]] = {}
    for line in filter(_sold, basket.lines):
        lines, discounted = counts.get(line.item_id, (0, 0))
        counts[line.item_id] = (lines + 1, discounted + _at_loyalty_price(line))
    return tuple(
        ItemLines(item_id=item_id, line_count=lines, discounted_line_count=discounted)
        for item_id, (lines, discounted) in counts.items()
    )


def _sold(line: LineItem) -> bool:
    taken_back = line.voided or line.voids_line_number != 0
    return bool(line.item_id) and line.quantity_milli > 0 and not taken_back


def _at_loyalty_price(line: LineItem) -> bool:
    return any(
        discount.kind is DiscountKind.LOYALTY and discount.amount_minor > 0
        for discount in line.discounts
    )
