"""Promotions as typed values, and how they are read from the signed rules bundle.

Owns what a promotion may say (docs/promotions.md describes every key). Refuses to compute:
``promotion_engine`` does. A document that cannot be meant is refused with its key; one that can
be meant but earns nothing is the publisher's lint's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from terminal_client.core.promotion_eligibility import Eligibility, load_eligibility
from terminal_client.core.promotion_offers import Offer, read_offer
from terminal_client.core.promotion_terms import Window, read_windows
from terminal_client.core.reading import DocumentError, Fields

EligibilityLoader = Callable[[object, str], Eligibility]
"""Loads the value at a path; raises DocumentError."""

_MOST_MINOR = 10**12
_MOST_APPLICATIONS = 10**9


class Phase(IntEnum):
    """When a promotion is judged; a later phase sees what earlier ones have left."""

    LINE = 1
    BASKET = 2


class Resolve(StrEnum):
    """Who wins in an exclusive group."""

    BEST_DEAL = "best_deal"
    PRIORITY = "priority"


class Scope(StrEnum):
    """What an exclusive group's members may not share."""

    BASKET = "basket"
    UNIT = "unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusive:
    """Membership of an exclusive group."""

    group: str
    resolve: Resolve
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One promotion. Lower ``priority`` comes first; ties go by ``offer_id``.

    ``max_discount_minor`` and ``max_applications`` hold per basket, None: no limit.
    """

    offer_id: str
    kind: str
    offer: Offer
    phase: Phase
    priority: int = 1000
    stackable: bool = False
    exclusive: Exclusive | None = None
    max_discount_minor: int | None = None
    max_applications: int | None = None
    windows: tuple[Window, ...] = ()
    segments: frozenset[str] = frozenset()
    eligible: Eligibility | None = None

    @property
    def order(self) -> tuple[int, bool, str]:
        """The promotion's place among others: a total order within a bundle."""
        return self.priority, self.stackable, self.offer_id


def read_promotions(
    value: object,
    path: str = "promotions",
    eligibility: EligibilityLoader = load_eligibility,
) -> tuple[Promotion, ...]:
    """Read a list of promotions from its JSON value.

    Raises:
        DocumentError: something is missing, mistyped, unknown, twice, or contradicts itself.
    """
    if not isinstance(value, list | tuple):
        raise DocumentError(path, "is not a list", "write [...]")
    promotions = tuple(
        read_promotion(item, f"{path}[{number}]", eligibility) for number, item in enumerate(value)
    )
    seen: set[str] = set()
    groups: dict[str, tuple[Exclusive, Phase]] = {}
    for number, promotion in enumerate(promotions):
        if promotion.offer_id in seen:
            raise DocumentError(
                f"{path}[{number}].id", f"{promotion.offer_id} comes twice", "rename one"
            )
        seen.add(promotion.offer_id)
        if promotion.exclusive is None:
            continue
        known = groups.setdefault(promotion.exclusive.group, (promotion.exclusive, promotion.phase))
        if known != (promotion.exclusive, promotion.phase):
            raise DocumentError(
                f"{path}[{number}].exclusive",
                f"differs from another member of {promotion.exclusive.group}",
                "give all members of a group the same resolve, scope and phase",
            )
    return promotions


def read_promotion(
    value: object, path: str, eligibility: EligibilityLoader = load_eligibility
) -> Promotion:
    """Read one promotion from its JSON value.

    Raises:
        DocumentError: something is missing, mistyped, unknown or contradicts itself.
    """
    fields = Fields(value, path)
    kind = fields.text("kind")
    threshold = kind == "threshold"
    promotion = Promotion(
        offer_id=fields.text("id", longest=128),
        kind=kind,
        offer=read_offer(fields),
        phase=fields.choice("phase", _PHASES, "basket" if threshold else "line"),
        priority=fields.integer("priority", 0, 1_000_000, 1000),
        stackable=fields.flag("stackable", False),
        exclusive=_read_exclusive(fields),
        max_discount_minor=_limit(fields, "max_discount_minor", _MOST_MINOR, None),
        # "Spend 50, get 5 off" is meant once unless it says otherwise.
        max_applications=_limit(
            fields, "max_applications", _MOST_APPLICATIONS, 1 if threshold else None
        ),
        windows=read_windows(fields),
        segments=frozenset(fields.texts("segments")),
        eligible=(
            eligibility(fields.raw("eligible"), fields.at("eligible"))
            if fields.has("eligible")
            else None
        ),
    )
    # For people, never evaluated: the name, and the text that ``eligible`` was compiled from.
    fields.text("name", "")
    fields.text("cel", "", 16_384)
    fields.close()
    _check(promotion, path)
    return promotion


def _check(promotion: Promotion, path: str) -> None:
    if not promotion.offer_id:
        raise DocumentError(f"{path}.id", "is empty", "name the promotion")
    exclusive = promotion.exclusive
    if exclusive is not None and exclusive.scope is Scope.UNIT and promotion.stackable:
        raise DocumentError(
            f"{path}.stackable",
            "contradicts a group whose members share no unit",
            'write false, or "scope": "basket" in exclusive',
        )


def _read_exclusive(fields: Fields) -> Exclusive | None:
    if not fields.has("exclusive"):
        return None
    inner = fields.object("exclusive")
    exclusive = Exclusive(
        group=inner.text("group", longest=128),
        resolve=inner.choice("resolve", {word.value: word for word in Resolve}),
        scope=inner.choice("scope", {word.value: word for word in Scope}, "basket"),
    )
    inner.close()
    return exclusive


def _limit(fields: Fields, key: str, most: int, default: int | None) -> int | None:
    return fields.integer(key, 0, most) if fields.has(key) else default


_PHASES = {phase.name.lower(): phase for phase in Phase}
