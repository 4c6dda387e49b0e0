"""Times per stage on a logarithmic axis: median, p95, p99, the worst, and what was allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from examples.complete_journey.demo.chart import WIDE, box, drawing, rule, words
from examples.complete_journey.demo.latency import Latency
from examples.complete_journey.demo.markup import Node, node
from examples.complete_journey.demo.shares import Spread

_LOW_MS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRow:
    """A row of the chart and of the table; milliseconds."""

    name: str
    detail: str
    spent: Spread
    allowed_ms: float
    over: int


def time_rows(latency: Latency) -> list[TimeRow]:
    """Return what is shown, outermost first: register, gateway, then the stages."""
    rows = []
    if latency.terminal is not None:
        rows.append(
            TimeRow(
                name="at the register",
                detail="call to return",
                spent=latency.terminal,
                allowed_ms=latency.budget_ms,
                over=latency.outside_terminal,
            )
        )
    if latency.gateway is not None:
        rows.append(
            TimeRow(
                name="in the gateway",
                detail="ledger total",
                spent=latency.gateway,
                allowed_ms=latency.budget_ms,
                over=latency.outside_gateway,
            )
        )
    return rows + [
        TimeRow(
            name=stage.stage,
            detail=stage.workflow.replace("_", " "),
            spent=stage.spent,
            allowed_ms=stage.allotted_ms,
            over=stage.over,
        )
        for stage in latency.stages
        if stage.spent is not None
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    left: float
    right: float
    low: int
    high: float

    def x(self, milliseconds: float) -> float:
        place = math.log10(max(milliseconds, _LOW_MS))
        share = (place - self.low) / (self.high - self.low)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)


def latency_chart(latency: Latency, width: float) -> Node:
    """Return the chart in one of the page's widths."""
    rows = time_rows(latency)
    roomy = width == WIDE
    tall, top = (30, 30) if roomy else (44, 28)
    bottom = top + tall * len(rows)
    smallest = min((row.spent.p50 for row in rows), default=0.1)
    largest = max((max(row.spent.max, row.allowed_ms) for row in rows), default=100.0)
    axis = _Axis(
        left=206 if roomy else 8,
        right=width - 20,
        low=math.floor(math.log10(max(smallest, _LOW_MS))),
        high=math.log10(max(largest, 1.0)) + 0.15,
    )
    parts = [*_scale(axis, top, bottom)]
    for index, row in enumerate(rows):
        y = top + (index + 0.5) * tall
        if roomy:
            parts.append(words(0, y + 4, row.name, "name"))
            if row.detail:
                parts.append(words(axis.left - 12, y + 4, row.detail, "axis", "end"))
        else:
            detail = node("tspan", {"class": "axis"}, f"  {row.detail}") if row.detail else None
            place = {"x": axis.left, "y": y - 5, "class": "name"}
            parts.append(node("text", place, row.name, detail))
        parts += _row(axis, row, y if roomy else y + 9)
    title = "Milliseconds: " + "; ".join(
        f"{row.name} {row.detail} p50 {row.spent.p50:.2f}, p95 {row.spent.p95:.2f}, "
        f"p99 {row.spent.p99:.2f}, max {row.spent.max:.2f} of {row.allowed_ms:.0f}"
        for row in rows
    )
    return drawing(width, bottom + 8, title, *parts)


def time_mark(kind: str, x: float, y: float) -> Node:
    """Return the mark of p50, p95, p99, max or allowed; each has a shape of its own."""
    if kind == "p50":
        return node("circle", {"cx": x, "cy": y, "r": 5, "class": "time p50"})
    if kind == "allowed":
        return box(x - 1.75, y - 10, 3.5, 20, "allowed")
    if kind == "max":
        return box(x - 1, y - 7, 2, 14, "time max")
    half = 5 if kind == "p95" else 4
    shape = f"M{x:.1f} {y - half}l{half} {half}l-{half} {half}l-{half}-{half}z"
    return node("path", {"d": shape, "class": f"time {kind}"})


def _row(axis: _Axis, row: TimeRow, y: float) -> Iterator[Node]:
    spent = row.spent
    yield rule(axis.left, y, axis.right, y, "track")
    yield rule(axis.x(spent.p50), y, axis.x(spent.max), y, "reach")
    if row.allowed_ms > 0:
        yield time_mark("allowed", axis.x(row.allowed_ms), y)
    for kind, value in (("max", spent.max), ("p99", spent.p99), ("p95", spent.p95)):
        yield time_mark(kind, axis.x(value), y)
    yield time_mark("p50", axis.x(spent.p50), y)


def _scale(axis: _Axis, top: float, bottom: float) -> Iterator[Node]:
    for power in range(axis.low, math.floor(axis.high) + 1):
        x = axis.x(10.0**power)
        yield rule(x, top - 4, x, bottom, "grid")
        anchor = "start" if power == axis.low else "middle"
        yield words(x, top - 12, f"{10.0**power:g} ms", "axis", anchor)
