"""Reading what a coupon takes off: values, legacy value codes and the store's match."""

from __future__ import annotations

from dataclasses import dataclass

from terminal_client.core.coupon_terms import Doubling, Value, ValueKind
from terminal_client.core.money import BASIS_POINTS
from terminal_client.core.reading import DocumentError, Fields

MONEY_MAX_MINOR = 10**9
QUANTITY_MAX = 10**6
ID_LONGEST = 48
"""Campaign and coupon code together fit into an offer identifier of 128 characters."""


@dataclass(frozen=True, slots=True)
class ValueCode:
    """What a legacy two-digit value code says: a value, and how many must be bought."""

    value: Value
    min_quantity: int


def read_value_code(value: object, path: str) -> ValueCode:
    """Read ``{value, min_quantity}``; raises DocumentError."""
    fields = Fields(value, path)
    inner = fields.object("value")
    found = ValueCode(
        value=read_value(inner),
        min_quantity=fields.integer("min_quantity", 1, QUANTITY_MAX, default=1),
    )
    inner.close()
    fields.close()
    return found


def read_value(fields: Fields) -> Value:
    """Read ``{kind, ...}`` without closing it; raises DocumentError."""
    kind = fields.choice("kind", {kind.value: kind for kind in ValueKind})
    if kind in (ValueKind.AMOUNT, ValueKind.TRANSACTION):
        return Value(kind=kind, amount_minor=fields.integer("amount_minor", 1, MONEY_MAX_MINOR))
    if kind is ValueKind.NONE:
        return Value(kind=kind)
    cap_minor = fields.integer("max_minor", 0, MONEY_MAX_MINOR, default=0)
    if kind is ValueKind.PERCENT:
        share_bp = fields.integer("percent_bp", 1, BASIS_POINTS)
        return Value(kind=kind, percent_bp=share_bp, max_minor=cap_minor)
    count = fields.integer("count", 1, QUANTITY_MAX, default=1)
    return Value(kind=kind, count=count, max_minor=cap_minor)


def read_doubling(fields: Fields) -> Doubling:
    """Read ``{offer_id, full_up_to_minor, up_to_total_minor}``; raises DocumentError."""
    full_minor = fields.integer("full_up_to_minor", 0, MONEY_MAX_MINOR)
    doubling = Doubling(
        offer_id=read_identifier(fields, "offer_id", ID_LONGEST),
        full_up_to_minor=full_minor,
        up_to_total_minor=fields.integer("up_to_total_minor", 0, 2 * MONEY_MAX_MINOR),
    )
    fields.close()
    return doubling


def read_identifier(fields: Fields, key: str, longest: int) -> str:
    """Read a text of 1 to ``longest`` characters without a colon; raises DocumentError."""
    text = fields.text(key, longest=longest)
    # The colon joins campaign and code in an offer's identifier.
    if not text or ":" in text:
        raise DocumentError(
            fields.at(key), f"is {text!r:.40}", f"write 1 to {longest} characters without ':'"
        )
    return text
