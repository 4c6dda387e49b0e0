"""The terms promotions are written in: which items, when, and what they earn.

Owns selectors, windows and rewards, and how each is read. What promotions do with them is
``promotion_model`` and ``promotion_deals``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from terminal_client.core.basket import LineItem
from terminal_client.core.money import BASIS_POINTS, Price, divide_half_up, read_price
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.rule_input import RuleContext

MINUTES_OF_DAY = 1440
FIRST_DAY = 0
LAST_DAY = 99_991_231

AttributeValue = int | bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Items that a selector leaves out: those that any of its parts names."""

    items: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()
    attributes: tuple[tuple[str, AttributeValue], ...] = ()

    def excludes(self, line: LineItem) -> bool:
        """Tell whether the line is left out."""
        return (
            line.item_id in self.items
            or line.department_id in self.departments
            or any(_has(line, name, value) for name, value in self.attributes)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which lines a promotion is about: every part that is given must hold.

    ``items`` and ``departments`` are None where they are not given. Deposits and other lines
    that belong to another are selected only if ``linked``; lines whose price a person changed
    are not if ``skip_overridden``.
    """

    items: frozenset[str] | None = None
    departments: frozenset[str] | None = None
    attributes: tuple[tuple[str, AttributeValue], ...] = ()
    exclusion: Exclusion | None = None
    linked: bool = False
    skip_overridden: bool = False

    @property
    def plain(self) -> bool:
        """Whether an item or a department alone decides, leaving linked lines aside."""
        by_both = self.items is not None and self.departments is not None
        return not (by_both or self.attributes or self.exclusion is not None)

    def selects(self, line: LineItem) -> bool:
        """Tell whether the line is selected."""
        return (
            (self.items is None or line.item_id in self.items)
            and (self.departments is None or line.department_id in self.departments)
            and (self.linked or not line.linked_line_number)
            and not (self.skip_overridden and line.price_overridden)
            and all(_has(line, name, value) for name, value in self.attributes)
            and not (self.exclusion is not None and self.exclusion.excludes(line))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a promotion runs, in the store's local time; every part must hold.

    Both dates are ``yyyymmdd`` and inclusive; a range of minutes includes its first and
    excludes its last; empty ``weekdays`` or ``minutes`` leave them open.
    """

    valid_from: int = FIRST_DAY
    valid_through: int = LAST_DAY
    weekdays: frozenset[int] = frozenset()
    minutes: tuple[tuple[int, int], ...] = ()

    def open_at(self, context: RuleContext) -> bool:
        """Tell whether the window is open at the basket's evaluation time."""
        if not self.valid_from <= context.store_local_date <= self.valid_through:
            return False
        if self.weekdays and context.weekday not in self.weekdays:
            return False
        minute = context.store_local_minute_of_day
        return not self.minutes or any(first <= minute < end for first, end in self.minutes)


_NOTHING = Price(0)


class RewardKind(StrEnum):
    """How a reward is written: the key that holds it."""

    PERCENT = "percent_bp"
    AMOUNT = "amount_minor"
    PRICE = "price_minor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What is earned: a share off, an amount off, or a price to pay instead."""

    kind: RewardKind
    basis_points: int = 0
    price: Price = _NOTHING

    def off_units(self, value_minor: int, quantity_milli: int) -> int:
        """Return what comes off ``quantity_milli`` thousandths worth ``value_minor``.

        Amounts and prices are per ``price.quantity_milli``. Rounded once, half up; in
        ``[0, value_minor]``.
        """
        if self.kind is RewardKind.PERCENT:
            return self._share(value_minor)
        return self._bounded(value_minor, self.price.of(quantity_milli))

    def off_sets(self, value_minor: int, count: int) -> int:
        """Return what comes off ``count`` sets (or thresholds) worth ``value_minor`` together.

        Amounts and prices are per set; a percentage does not depend on ``count``.
        """
        if self.kind is RewardKind.PERCENT:
            return self._share(value_minor)
        return self._bounded(value_minor, count * self.price.amount_minor)

    def _share(self, value_minor: int) -> int:
        return divide_half_up(value_minor * self.basis_points, BASIS_POINTS)

    def _bounded(self, value_minor: int, priced_minor: int) -> int:
        if self.kind is RewardKind.AMOUNT:
            return min(value_minor, priced_minor)
        return max(0, value_minor - priced_minor)


FREE = Reward(kind=RewardKind.PERCENT, basis_points=BASIS_POINTS)


def read_selector(value: object, path: str) -> Selector:
    """Read a selector: ``items``, ``departments``, ``attributes``, or ``all``.

    Raises:
        DocumentError: a key is unknown or mistyped, or nothing says what is selected.
    """
    fields = Fields(value, path)
    everything = fields.flag("all", False)
    selector = Selector(
        items=_texts_if_given(fields, "items"),
        departments=_texts_if_given(fields, "departments"),
        attributes=_read_attributes(fields),
        exclusion=_read_exclusion(fields.object("except")) if fields.has("except") else None,
        linked=fields.flag("linked", False),
        skip_overridden=fields.flag("skip_overridden", False),
    )
    fields.close()
    narrowed = selector.items is not None or selector.departments is not None
    if everything == (narrowed or bool(selector.attributes)):
        raise DocumentError(
            path,
            "does not say which items",
            'write items, departments or attributes, or "all": true alone',
        )
    return selector


def read_windows(fields: Fields) -> tuple[Window, ...]:
    """Read the optional list ``windows``; a promotion runs while any of them is open.

    Raises:
        DocumentError: a window holds no date, weekday or range of minutes where it must.
    """
    return fields.items("windows", _read_window)


def read_reward(value: object, path: str) -> Reward:
    """Read a reward: exactly one of ``percent_bp``, ``amount_minor``, ``price_minor``.

    Raises:
        DocumentError: none or several are given, or one is out of range.
    """
    fields = Fields(value, path)
    kinds = [kind for kind in RewardKind if fields.has(kind.value)]
    if len(kinds) != 1:
        raise DocumentError(
            path,
            f"holds {len(kinds)} rewards",
            "write one of percent_bp, amount_minor, price_minor",
        )
    reward = reward_of(fields, kinds[0])
    fields.close()
    return reward


def reward_of(fields: Fields, kind: RewardKind) -> Reward:
    """Read the reward of this kind from ``fields``, which the caller closes.

    Raises:
        DocumentError: it is missing, mistyped or out of range.
    """
    if kind is RewardKind.PERCENT:
        return Reward(kind=kind, basis_points=fields.integer(kind.value, 0, BASIS_POINTS))
    return Reward(kind=kind, price=read_price(fields, kind.value))


def _has(line: LineItem, name: str, value: AttributeValue) -> bool:
    for attribute in line.attributes:
        if attribute.name == name:
            if isinstance(value, bool):
                return attribute.kind == "bool_value" and attribute.bool_value == value
            if isinstance(value, int):
                return attribute.kind == "int_value" and attribute.int_value == value
            return attribute.kind == "string_value" and attribute.string_value == value
    return False


def _texts_if_given(fields: Fields, key: str) -> frozenset[str] | None:
    return frozenset(fields.texts(key)) if fields.has(key) else None


def _read_attributes(fields: Fields) -> tuple[tuple[str, AttributeValue], ...]:
    found: Mapping[str, AttributeValue] = fields.table("attributes", _read_attribute)
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


def _read_attribute(value: object, path: str) -> AttributeValue:
    if not isinstance(value, int | bool | str):
        raise DocumentError(path, f"is {value!r:.40}", "write an integer, true, false or a string")
    return value


def _read_exclusion(fields: Fields) -> Exclusion:
    exclusion = Exclusion(
        items=frozenset(fields.texts("items")),
        departments=frozenset(fields.texts("departments")),
        attributes=_read_attributes(fields),
    )
    fields.close()
    return exclusion


def _read_window(value: object, path: str) -> Window:
    fields = Fields(value, path)
    window = Window(
        valid_from=_read_day(fields, "valid_from", FIRST_DAY),
        valid_through=_read_day(fields, "valid_through", LAST_DAY),
        weekdays=frozenset(fields.items("weekdays", _read_weekday)),
        minutes=fields.items("minutes", _read_minutes),
    )
    fields.close()
    return window


def _read_day(fields: Fields, key: str, default: int) -> int:
    if not fields.has(key):
        return default
    text = fields.text(key, longest=10)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise DocumentError(fields.at(key), f"is {text!r}", "write a day as YYYY-MM-DD")
    return day.year * 10_000 + day.month * 100 + day.day


def _read_weekday(value: object, path: str) -> int:
    return Fields({"weekday": value}, path).integer("weekday", 1, 7)


def _read_minutes(value: object, path: str) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise DocumentError(path, "is no pair", "write [first_minute, end_minute]")
    pair = Fields({"first": value[0], "end": value[1]}, path)
    return pair.integer("first", 0, MINUTES_OF_DAY), pair.integer("end", 0, MINUTES_OF_DAY)
