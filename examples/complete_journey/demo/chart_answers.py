"""Who answered, by week, as stacked columns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from examples.complete_journey.demo.chart import (
    WIDE,
    Outline,
    box,
    drawing,
    rule,
    shading,
    week_axis,
    words,
)
from examples.complete_journey.demo.markup import Node
from examples.complete_journey.demo.measure import Figures, WeekFigures
from examples.complete_journey.demo.records import RunFacts
from examples.complete_journey.demo.words import ordered_sources, source_word

_LOWEST_NAMED = 15.0
"""Height in pixels from which a segment can hold its number."""


def answers_chart(figures: Figures, facts: RunFacts, width: float) -> Node:
    """Return the chart in one of the page's widths."""
    height = 290 if width == WIDE else 260
    weeks = [week.week for week in figures.weeks]
    outline = Outline(left=44, right=width - 12, top=36, bottom=height - 30, weeks=weeks)
    sources = ordered_sources(figures)
    most = max((sum(week.answers.values()) for week in figures.weeks), default=1)
    step = tick_step(most)
    top = (most // step + 1) * step
    parts: list[Node] = [*shading(outline, facts)]
    for tick in range(0, top + 1, step):
        y = outline.bottom - tick / top * (outline.bottom - outline.top)
        parts.append(rule(outline.left, y, outline.right, y, "grid"))
        parts.append(words(outline.left - 6, y + 4, f"{tick:,}", "axis", "end"))
    for index, week in enumerate(figures.weeks):
        parts += _column(outline, index, week, sources, top)
    title = "Answers by week: " + "; ".join(
        f"week {week.week} "
        + ", ".join(f"{week.answers[s]} {source_word(s)}" for s in sources if s in week.answers)
        for week in figures.weeks
    )
    return drawing(width, height, title, *parts, *week_axis(outline))


def tick_step(most: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, ... that reaches ``most`` in five steps."""
    steps = (int(first * 10**zeros) for zeros in count() for first in (1, 2, 5))
    return next(step for step in steps if step * 5 >= most)


def source_class(source: str) -> str:
    """Return the class that colours a source (``place/mode``)."""
    return "s-" + source.replace("/", "-").replace("_", "-")


def _column(
    outline: Outline, index: int, week: WeekFigures, sources: list[str], top: int
) -> Iterator[Node]:
    wide = min(outline.step * 0.56, 64.0)
    x, y = outline.centre(index) - wide / 2, outline.bottom
    for source in sources:
        answers = week.answers.get(source, 0)
        tall = answers / top * (outline.bottom - outline.top)
        if not answers:
            continue
        y -= tall
        yield box(x, y, wide, max(tall - 1.5, 1.0), f"bar {source_class(source)}")
        if tall >= _LOWEST_NAMED:
            middle = y + tall / 2 + 4
            css = f"count {source_class(source)}"
            yield words(x + wide / 2, middle, str(answers), css, "middle")
