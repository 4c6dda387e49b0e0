"""What a rule is evaluated on: mirrors ``posgate.v1.RuleInput`` field for field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from terminal_client.core.basket import Basket, LineItem
from terminal_client.core.modes import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleContext:
    """What a rule may know beside the basket; units as in the proto."""

    store_local_date: int
    store_local_minute_of_day: int
    weekday: int
    targeting: tuple[str, ...] = ()
    artifact_age_days: Mapping[str, int] = field(default_factory=dict)
    mode: Mode = Mode.EMERGENCY
    total_minor: int = 0
    line_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInput:
    """A basket and its context; ``line`` is set for rules of scope ``line``."""

    basket: Basket
    context: RuleContext
    line: LineItem | None = None
