"""Accuracy by week as lines: as served, by rule B, and where the edge model decided."""

from __future__ import annotations

import math
from collections.abc import Iterator

from examples.complete_journey.demo.accuracy import WeekAccuracy
from examples.complete_journey.demo.chart import (
    WIDE,
    Outline,
    drawing,
    rule,
    shading,
    week_axis,
    words,
)
from examples.complete_journey.demo.markup import Node, node
from examples.complete_journey.demo.measure import Figures
from examples.complete_journey.demo.records import RunFacts
from examples.complete_journey.demo.shares import Share

Point = tuple[float, float]

SERIES = (
    ("served", "as served"),
    ("edge", "lines the edge model decided"),
    ("ruleb", "rule B on all lines"),
)
_TICK = 5


def accuracy_chart(figures: Figures, facts: RunFacts, width: float) -> Node:
    """Return the chart in one of the page's widths."""
    weeks = [week.week for week in figures.weeks]
    height = 330 if width == WIDE else 290
    outline = Outline(left=44, right=width - 12, top=36, bottom=height - 30, weeks=weeks)
    values = {css: [_value(css, week.accuracy) for week in figures.weeks] for css, _ in SERIES}
    floor = _floor(value for series in values.values() for value in series if value is not None)
    parts: list[Node] = [*shading(outline, facts), *_scale(outline, floor), *week_axis(outline)]
    for css, _ in SERIES:
        points = [
            None if value is None else (outline.centre(i), _y(outline, floor, value))
            for i, value in enumerate(values[css])
        ]
        parts += _line(points, css)
        if width == WIDE or css != "edge":
            parts += _labels(points, values[css], css)
    title = "Accuracy by week: " + "; ".join(
        f"{name} " + ", ".join("none" if v is None else f"{v:.1f} %" for v in values[css])
        for css, name in SERIES
    )
    return drawing(width, height, title, *parts)


def mark(css: str, x: float, y: float) -> Node:
    """Return a series' mark: the shape tells series apart where colour cannot."""
    if css == "served":
        return node("circle", {"cx": x, "cy": y, "r": 4.5, "class": f"mark {css}"})
    if css == "ruleb":
        side = 8.0
        box = {"x": x - side / 2, "y": y - side / 2, "width": side, "height": side}
        return node("rect", {**box, "class": f"mark {css}"})
    shape = f"M{x:.1f} {y - 5:.1f}l5 9h-10z"
    return node("path", {"d": shape, "class": f"mark {css}"})


def _value(css: str, week: WeekAccuracy) -> float | None:
    share = {
        "served": week.served,
        "edge": week.tiers.get("edge_model", Share()),
        "ruleb": week.rule_b or Share(),
    }[css]
    return None if share.value is None else 100 * share.value


def _floor(values: Iterator[float]) -> int:
    """Return where the axis starts: a tick below the smallest value."""
    return max(0, (math.floor(min(values, default=50.0)) - 1) // _TICK * _TICK)


def _y(outline: Outline, floor: int, value: float) -> float:
    return outline.bottom - (value - floor) / (100 - floor) * (outline.bottom - outline.top)


def _scale(outline: Outline, floor: int) -> Iterator[Node]:
    step = _TICK if 100 - floor <= 8 * _TICK else 2 * _TICK
    for tick in range(floor, 101, step):
        y = _y(outline, floor, tick)
        yield rule(outline.left, y, outline.right, y, "grid")
        yield words(outline.left - 6, y + 4, f"{tick} %", "axis", "end")


def _line(points: list[Point | None], css: str) -> Iterator[Node]:
    """Yield the line, broken where nothing is known, and the marks on it."""
    path, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        path.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    if path:
        yield node("path", {"d": "".join(path), "class": f"line {css}"})
    yield from (mark(css, *point) for point in points if point is not None)


def _labels(points: list[Point | None], values: list[float | None], css: str) -> Iterator[Node]:
    below = css == "ruleb"
    for point, value in zip(points, values, strict=True):
        if point is not None and value is not None:
            y = point[1] + (19 if below else -10)
            yield words(point[0], y, f"{value:.1f}", f"value {css}", "middle")
