"""Promotions that read well and cannot be meant: found before they are published.

Reading a promotion refuses what has no meaning. The lint finds what has one that no author
wants: it can never apply, never saves anything, saves more than there is, or leaves it to chance
which of two applies. Findings do not stop a publication; their reader decides.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from terminal_client.core.promotion_model import Promotion, Resolve, Scope
from terminal_client.core.promotion_offers import BuyGet, LineOffer, SetOffer, Threshold
from terminal_client.core.promotion_terms import (
    FIRST_DAY,
    LAST_DAY,
    Reward,
    RewardKind,
    Selector,
    Window,
)

WIDEST_SEARCH = 4
"""Members of a best-deal group whose every order is tried on ten lines they all want."""

_WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to look at before publishing.

    ``code`` is stable; ``path`` leads to the key as ``promotions[3].windows[0]``.
    """

    code: str
    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.code}: {self.problem}; {self.remedy}"


def lint_promotions(
    promotions: Sequence[Promotion],
    shelf_minor: Mapping[str, int] | None = None,
    path: str = "promotions",
) -> list[Finding]:
    """Return what is suspicious about ``promotions``, in their order.

    ``shelf_minor`` are shelf prices of one unit by item, in minor units, where they are known:
    rewards are then compared with them.
    """
    shelf = shelf_minor or {}
    groups = _groups(promotions)
    seen = Counter[str]()
    findings: list[Finding] = []
    for number, promotion in enumerate(promotions):
        place = f"{path}[{number}]"
        seen[promotion.offer_id] += 1
        if seen[promotion.offer_id] > 1:
            problem = f"{promotion.offer_id} is taken"
            findings.append(_finding("ID_DUPLICATE", f"{place}.id", problem, "rename it"))
        findings += _windows(promotion, place)
        findings += _caps(promotion, place)
        findings += _selectors(promotion, place)
        findings += _rewards(promotion, place)
        findings += _against_shelf(promotion, place, shelf)
        findings += _group(promotion, place, groups)
        findings += _overlaps(promotion, place, promotions[:number])
    return findings


def _finding(code: str, path: str, problem: str, remedy: str) -> Finding:
    return Finding(code=code, path=path, problem=problem, remedy=remedy)


def _windows(promotion: Promotion, path: str) -> Iterator[Finding]:
    for number, window in enumerate(promotion.windows):
        problem = _never_open(window)
        if problem:
            place = f"{path}.windows[{number}]"
            yield _finding("WINDOW_UNREACHABLE", place, problem, "correct it or leave it out")


def _never_open(window: Window) -> str:
    if window.valid_from > window.valid_through:
        return "ends before it begins"
    if window.minutes and all(first >= end for first, end in window.minutes):
        return "has no minute in it (a range past midnight is two ranges)"
    bounded = window.valid_from > FIRST_DAY and window.valid_through < LAST_DAY
    if window.weekdays and bounded:
        first, last = _date(window.valid_from), _date(window.valid_through)
        days = min((last - first).days + 1, _WEEK)
        covered = {(first + timedelta(days=n)).isoweekday() for n in range(days)}
        if not covered & window.weekdays:
            return "holds none of its weekdays"
    return ""


def _date(yyyymmdd: int) -> date:
    return date(yyyymmdd // 10_000, yyyymmdd // 100 % 100, yyyymmdd % 100)


def _caps(promotion: Promotion, path: str) -> Iterator[Finding]:
    for key, most in (
        ("max_discount_minor", promotion.max_discount_minor),
        ("max_applications", promotion.max_applications),
    ):
        if most == 0:
            yield _finding(
                "CAP_ZERO", f"{path}.{key}", "is 0: never applies", "raise it or leave it out"
            )


def _places(promotion: Promotion) -> list[tuple[str, Selector]]:
    """Return every selector with its key."""
    offer = promotion.offer
    if isinstance(offer, BuyGet):
        if offer.buy is offer.get:
            return [("items", offer.buy.items)]
        return [("buy.items", offer.buy.items), ("get.items", offer.get.items)]
    if isinstance(offer, SetOffer):
        return [(f"parts[{n}].items", part.items) for n, part in enumerate(offer.parts)]
    if isinstance(offer, Threshold) and offer.reward_items is not offer.items:
        return [("items", offer.items), ("reward_items", offer.reward_items)]
    return [("items", offer.items)]


def _selectors(promotion: Promotion, path: str) -> Iterator[Finding]:
    taken: set[str] = set()
    for key, selector in _places(promotion):
        place = f"{path}.{key}"
        named = _named(selector)
        if named == frozenset() or selector.departments == frozenset():
            yield _finding("SELECTOR_EMPTY", place, "selects nothing", "name items, or remove it")
        elif isinstance(promotion.offer, SetOffer) and named is not None:
            if named <= taken:
                yield _finding(
                    "PART_UNREACHABLE",
                    place,
                    "selects only items that an earlier part takes",
                    "put the narrower part first",
                )
            taken |= named if not selector.departments and not selector.attributes else set()


def _named(selector: Selector) -> frozenset[str] | None:
    """Return the items that a selector can select by name; None: it does not go by name."""
    if selector.items is None:
        return None
    return selector.items - (selector.exclusion.items if selector.exclusion else frozenset())


def _reward(promotion: Promotion) -> tuple[str, Reward]:
    reward = promotion.offer.reward
    inline = isinstance(promotion.offer, LineOffer)
    return (reward.kind.value if inline else f"reward.{reward.kind.value}"), reward


def _rewards(promotion: Promotion, path: str) -> Iterator[Finding]:
    key, reward = _reward(promotion)
    place = f"{path}.{key}"
    nothing = reward.basis_points == 0 and reward.price.amount_minor == 0
    if nothing and reward.kind is not RewardKind.PRICE:
        yield _finding("REWARD_ZERO", place, "takes nothing off", "raise it")
    offer = promotion.offer
    if (
        isinstance(offer, Threshold)
        and reward.kind is RewardKind.AMOUNT
        and reward.price.amount_minor > offer.spend_minor
    ):
        problem = f"gives {reward.price.amount_minor} for spending {offer.spend_minor}"
        yield _finding("REWARD_TOO_LARGE", place, problem, "lower it or raise spend_minor")


def _rewarded(promotion: Promotion) -> Iterable[str]:
    offer = promotion.offer
    if isinstance(offer, LineOffer):
        return sorted(_named(offer.items) or ())
    if isinstance(offer, BuyGet):
        return sorted(_named(offer.get.items) or ())
    return ()


def _against_shelf(promotion: Promotion, path: str, shelf: Mapping[str, int]) -> Iterator[Finding]:
    key, reward = _reward(promotion)
    known = [(item, shelf[item]) for item in _rewarded(promotion) if item in shelf]
    unit = reward.price.of(1000)
    place = f"{path}.{key}"
    if reward.kind is RewardKind.PRICE:
        idle = [item for item, price in known if unit >= price]
        if idle:
            problem = (
                f"is not below the shelf price of {len(idle)} of {len(known)} items ({idle[0]})"
            )
            yield _finding("FIXED_PRICE_ABOVE_SHELF", place, problem, "lower it or leave them out")
    if reward.kind is RewardKind.AMOUNT:
        cheap = [item for item, price in known if unit > price]
        if cheap:
            problem = f"is more than {len(cheap)} items of {len(known)} cost: {cheap[0]}"
            yield _finding("REWARD_TOO_LARGE", place, problem, "lower it or leave them out")


def _groups(promotions: Iterable[Promotion]) -> Mapping[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    for promotion in promotions:
        if promotion.exclusive is not None:
            sizes[promotion.exclusive.group] += 1
    return sizes


def _group(promotion: Promotion, path: str, sizes: Mapping[str, int]) -> Iterator[Finding]:
    exclusive = promotion.exclusive
    if exclusive is None:
        return
    size, place = sizes[exclusive.group], f"{path}.exclusive"
    if size == 1:
        problem = f"{exclusive.group} has no other member"
        yield _finding("GROUP_OF_ONE", place, problem, "correct the name or leave it out")
    by_order = exclusive.resolve is Resolve.BEST_DEAL and exclusive.scope is Scope.UNIT
    if by_order and size > WIDEST_SEARCH:
        problem = f"{exclusive.group} has {size} members, whose orders are not all tried"
        yield _finding(
            "GROUP_TOO_WIDE", place, problem, f"split it into groups of at most {WIDEST_SEARCH}"
        )


def _overlaps(promotion: Promotion, path: str, earlier: Sequence[Promotion]) -> Iterator[Finding]:
    """Find an earlier promotion that wants the same units, with nothing to say who gets them."""
    others = [other for other in earlier if _compete(promotion, other)]
    if others:
        first, second = sorted((promotion, others[0]), key=lambda one: one.order)
        yield _finding(
            "OVERLAP_WITHOUT_GROUP",
            path,
            f"wants units that {others[0].offer_id} wants ({len(others)} such promotions); "
            f"{first.offer_id} comes before {second.offer_id}",
            "put them into one exclusive group, or let both stack",
        )


def _compete(one: Promotion, other: Promotion) -> bool:
    if one.stackable or other.stackable or one.phase is not other.phase:
        return False
    groups = [p.exclusive.group for p in (one, other) if p.exclusive is not None]
    if len(groups) == 2 and groups[0] == groups[1]:
        return False
    return any(_meet(a, b) for _, a in _places(one) for _, b in _places(other))


def _meet(one: Selector, other: Selector) -> bool:
    """Tell whether some item is surely in both; what only a catalogue could tell is not."""
    if one.attributes != other.attributes:
        return False
    ours, theirs = _named(one), _named(other)
    if ours is not None and theirs is not None:
        return one.departments == other.departments and not ours.isdisjoint(theirs)
    if one.departments is not None and other.departments is not None:
        return not one.departments.isdisjoint(other.departments)
    if one.departments is not None or other.departments is not None:
        return False
    named, everything = (ours, other) if ours is not None else (theirs, one)
    # Two that select everything meet wherever there is an item.
    left_out = everything.exclusion.items if everything.exclusion else frozenset[str]()
    return named is None or bool(named - left_out)
