"""What the page's charts share: a drawing, its words, and shading of what was out of order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from examples.complete_journey.demo.markup import Child, Node, node
from examples.complete_journey.demo.records import RunFacts, Span

WIDE, NARROW = 880, 330
"""Widths the charts are drawn in; each is shown at its own size, so words stay legible."""

_WEEK = timedelta(weeks=1)
_SECOND_WEEK = datetime.combine(date(2017, 1, 2), time())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The plotting area of a chart with one column per week; y grows downwards."""

    left: float
    right: float
    top: float
    bottom: float
    weeks: Sequence[int]

    @property
    def step(self) -> float:
        """Return the width of a week's column."""
        return (self.right - self.left) / len(self.weeks)

    def centre(self, index: int) -> float:
        """Return the middle of a column."""
        return self.left + (index + 0.5) * self.step

    def at(self, moment: datetime) -> float:
        """Return where a moment of store time lies, inside the area."""
        weeks = (moment - _SECOND_WEEK) / _WEEK + 2 - self.weeks[0]
        return min(max(self.left + weeks * self.step, self.left), self.right)


def drawing(width: float, height: float, title: str, *children: Child) -> Node:
    """Return an SVG that scales down but never up; ``title`` says it all to a screen reader."""
    kind = "wide" if width == WIDE else "narrow"
    return node(
        "svg",
        {
            "class": kind,
            "viewBox": f"0 0 {width} {height}",
            "width": width,
            "height": height,
            "role": "img",
            "aria-label": title,
        },
        *children,
    )


def words(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> Node:
    """Return words whose baseline is at ``y``."""
    return node("text", {"x": x, "y": y, "text-anchor": anchor, "class": css}, text)


def rule(x1: float, y1: float, x2: float, y2: float, css: str) -> Node:
    """Return a straight line."""
    return node("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": css})


def box(x: float, y: float, width: float, height: float, css: str) -> Node:
    """Return a rectangle."""
    return node("rect", {"x": x, "y": y, "width": width, "height": height, "class": css})


def shading(outline: Outline, facts: RunFacts) -> Iterator[Node]:
    """Yield the areas in which the WAN was cut and the gateway dead, named above them."""
    yield from _shade(outline, facts.wan_cut, "cut", "WAN cut", 6)
    yield from _shade(outline, facts.gateway_dead, "dead", "gateway dead", 20)


def _shade(outline: Outline, span: Span | None, css: str, name: str, rise: float) -> Iterator[Node]:
    if span is None:
        return
    start, end = outline.at(span[0]), outline.at(span[1])
    if end <= start:
        return
    top = outline.top
    yield box(start, top, end - start, outline.bottom - top, f"shade {css}")
    yield rule(start, top - rise - 6, start, outline.bottom, f"edge {css}")
    yield rule(end, top, end, outline.bottom, f"edge {css}")
    yield words(start + 5, top - rise + 2, name, f"tag {css}")


def week_axis(outline: Outline) -> Iterator[Node]:
    """Yield the weeks below the area; where they are narrow, numbers alone."""
    roomy = outline.step > 70
    for index, week in enumerate(outline.weeks):
        text = f"week {week}" if roomy else str(week)
        yield words(outline.centre(index), outline.bottom + 18, text, "axis", "middle")
