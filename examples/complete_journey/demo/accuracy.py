"""How often the price check was right, told apart by week, tier, place, mode and book age.

Right means: a loyalty price was expected exactly where the real receipt shows one. Only the
lines of paid receipts count, each once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from examples.complete_journey.demo.records import CallRecord, LineOutcome
from examples.complete_journey.demo.rule_b import RuleB
from examples.complete_journey.demo.shares import Share

NO_BOOK = "none"
_AGES = ((7, "0-7"), (14, "8-14"), (21, "15-21"), (28, "22-28"))
_OLDER = "over 28"
_DEEP = "deep_model"
_ASKED = ("RAN", "CUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekAccuracy:
    """One week (or all of them): as served, by the tier that decided, and rule B beside it.

    ``rule_b`` is judged on the same lines; None where the replay has no rule B.
    """

    served: Share
    tiers: dict[str, Share]
    rule_b: Share | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Every cut of the price check's accuracy."""

    total: WeekAccuracy
    by_week: dict[int, WeekAccuracy]
    by_tier: dict[str, Share]
    by_place: dict[str, Share]
    by_mode: dict[str, Share]
    by_book_age: dict[str, Share]


def accuracy(calls: Iterable[CallRecord], rule_b: RuleB | None) -> Accuracy:
    """Return the accuracy of recorded calls.

    Raises:
        ValueError: a call does not belong to the replay that ``rule_b`` was made for.
    """
    final = [call for call in calls if call.final]
    lines = [(call, line) for call in final for line in call.lines]
    weeks: dict[int, list[CallRecord]] = defaultdict(list)
    for call in final:
        weeks[call.week].append(call)
    return Accuracy(
        total=_week(final, rule_b),
        by_week={week: _week(weeks[week], rule_b) for week in sorted(weeks)},
        by_tier=_split((line.tier, line) for _, line in lines),
        by_place=_split((line.place, line) for _, line in lines),
        by_mode=_split((call.mode, line) for call, line in lines),
        by_book_age=_split((book_age(call.book_age_days), line) for call, line in lines),
    )


def book_age(days: float | None) -> str:
    """Return the age class of a price book, by its whole days; ``none``: none took part."""
    if days is None:
        return NO_BOOK
    return next((name for limit, name in _AGES if int(days) <= limit), _OLDER)


def escalated(call: CallRecord) -> bool:
    """Tell whether the cloud was asked: its stage ran, or was cut off while it did."""
    return any(entry.stage == "deep" and entry.result in _ASKED for entry in call.ledger)


def escalated_lines(calls: Iterable[CallRecord]) -> Share:
    """Return the share of lines for which the cloud was asked.

    Those it decided, and those that went to the rules in a call that asked it: they were
    too uncertain for the edge model as well.
    """
    return Share.of(_was_asked(call, line) for call in calls for line in call.lines)


def _was_asked(call: CallRecord, line: LineOutcome) -> bool:
    return line.tier == _DEEP or (line.tier == "rules" and escalated(call))


def _week(calls: list[CallRecord], rule_b: RuleB | None) -> WeekAccuracy:
    tiers = _split((line.tier, line) for call in calls for line in call.lines)
    return WeekAccuracy(
        served=sum(tiers.values(), Share()),
        tiers=tiers,
        rule_b=None if rule_b is None else sum((rule_b.share(call) for call in calls), Share()),
    )


def _split(lines: Iterable[tuple[str, LineOutcome]]) -> dict[str, Share]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for name, line in lines:
        groups[name].append(line.expected == line.truth)
    return {name: Share.of(groups[name]) for name in sorted(groups)}
