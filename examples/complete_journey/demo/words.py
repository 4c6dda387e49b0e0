"""What the reports call things."""

from __future__ import annotations

from examples.complete_journey.demo.measure import TERMINAL, Figures
from examples.complete_journey.demo.shares import Share, Spread

TIER_WORDS = {"edge_model": "edge model", "deep_model": "deep model", "rules": "rules"}
_MODE_WORDS = {
    "full": "full",
    "cloud_assisted": "cloud-assisted",
    "local_only": "local",
    "emergency": "emergency",
}
"""In the order of what a gateway has at hand."""


def ordered_sources(figures: Figures) -> list[str]:
    """Return who answered at all (``place/mode``): gateways by mode, then the registers."""
    found = {source for week in figures.weeks for source in week.answers}
    return sorted(found, key=_position)


def _position(source: str) -> tuple[bool, int, str]:
    place, _, mode = source.partition("/")
    return place == TERMINAL, list(_MODE_WORDS).index(mode), place


def mode_word(mode: str) -> str:
    """Return what a mode is called for short."""
    return _MODE_WORDS[mode]


def source_word(source: str) -> str:
    """Return what a source (``place/mode``) is called."""
    place, _, mode = source.partition("/")
    if place != TERMINAL:
        return _MODE_WORDS[mode]
    return "register" if mode == "emergency" else f"register {_MODE_WORDS[mode]}"


def down_word(down: Share, up_word: str, down_word_: str) -> str:
    """Return how something was during a week: up, down, or for which share of it."""
    if down.part == 0:
        return up_word
    return (
        down_word_
        if down.part == down.whole
        else f"{down_word_} {100 * down.part / down.whole:.0f} %"
    )


def book_word(age_days: Spread | None) -> str:
    """Return the greatest age of the price book in days."""
    return "-" if age_days is None else f"{age_days.max:.0f} d"
