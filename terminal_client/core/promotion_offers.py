"""What a promotion offers: the kinds, and how each is read.

Owns the four shapes that every kind comes down to. ``promotion_deals`` computes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from terminal_client.core.promotion_terms import (
    FREE,
    Reward,
    RewardKind,
    Selector,
    read_reward,
    read_selector,
    reward_of,
)
from terminal_client.core.reading import DocumentError, Fields

_MOST_MILLI = 10**9
_MOST_MINOR = 10**12
_MOST_PARTS = 8


class Choice(StrEnum):
    """Which of the items that may be rewarded are."""

    CHEAPEST = "cheapest"
    DEAREST = "dearest"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOffer:
    """A reward on every unit of the items: percent, amount or fixed price."""

    items: Selector
    reward: Reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """So many thousandths of these items."""

    items: Selector
    quantity_milli: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyGet:
    """Whoever buys ``buy`` gets the reward on ``get``."""

    buy: Part
    get: Part
    reward: Reward
    choice: Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOffer:
    """One of each part makes a set; the reward is on the set, dearest sets first.

    A line counts for the first part that selects it.
    """

    parts: tuple[Part, ...]
    reward: Reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Every ``spend_minor`` spent on ``items`` earns the reward on ``reward_items``."""

    items: Selector
    spend_minor: int
    reward: Reward
    reward_items: Selector


Offer = LineOffer | BuyGet | SetOffer | Threshold


def read_offer(fields: Fields) -> Offer:
    """Read the keys that belong to the promotion's ``kind``; the caller closes ``fields``.

    Raises:
        DocumentError: the kind is unknown, or one of its keys is missing or wrong.
    """
    return fields.choice("kind", _READERS)(fields)


def _selector(fields: Fields, key: str) -> Selector:
    return read_selector(fields.raw(key), fields.at(key))


def _reward(fields: Fields) -> Reward:
    return read_reward(fields.raw("reward"), fields.at("reward"))


def _part(value: object, path: str) -> Part:
    fields = Fields(value, path)
    part = Part(
        items=_selector(fields, "items"),
        quantity_milli=fields.integer("quantity_milli", 1, _MOST_MILLI, 1000),
    )
    fields.close()
    return part


def _line_offer(kind: RewardKind) -> Callable[[Fields], Offer]:
    def read(fields: Fields) -> Offer:
        return LineOffer(items=_selector(fields, "items"), reward=reward_of(fields, kind))

    return read


def _choice(fields: Fields) -> Choice:
    return fields.choice("choice", {word.value: word for word in Choice}, "cheapest")


def _bogo(fields: Fields) -> Offer:
    part = Part(items=_selector(fields, "items"), quantity_milli=1000)
    reward = _reward(fields) if fields.has("reward") else FREE
    return BuyGet(buy=part, get=part, reward=reward, choice=_choice(fields))


def _buy_get(fields: Fields) -> Offer:
    return BuyGet(
        buy=_part(fields.raw("buy"), fields.at("buy")),
        get=_part(fields.raw("get"), fields.at("get")),
        reward=_reward(fields),
        choice=_choice(fields),
    )


def _sets(fields: Fields) -> Offer:
    parts = fields.items("parts", _part)
    if not 1 <= len(parts) <= _MOST_PARTS:
        raise DocumentError(
            fields.at("parts"), f"holds {len(parts)} parts", f"write 1 to {_MOST_PARTS}"
        )
    return SetOffer(parts=parts, reward=_reward(fields))


def _threshold(fields: Fields) -> Offer:
    items = _selector(fields, "items")
    reward = _reward(fields)
    if reward.kind is RewardKind.PRICE:
        raise DocumentError(
            fields.at("reward"), "is a price", "write percent_bp or amount_minor for a threshold"
        )
    return Threshold(
        items=items,
        spend_minor=fields.integer("spend_minor", 1, _MOST_MINOR),
        reward=reward,
        reward_items=_selector(fields, "reward_items") if fields.has("reward_items") else items,
    )


_READERS: dict[str, Callable[[Fields], Offer]] = {
    "percent": _line_offer(RewardKind.PERCENT),
    "amount": _line_offer(RewardKind.AMOUNT),
    "fixed_price": _line_offer(RewardKind.PRICE),
    "bogo": _bogo,
    "buy_get": _buy_get,
    "mix_and_match": _sets,
    "threshold": _threshold,
}
