"""The report on a terminal: one screen of claims, weeks and times."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from examples.complete_journey.demo.claims import Claim, percent
from examples.complete_journey.demo.latency import Latency
from examples.complete_journey.demo.measure import Figures
from examples.complete_journey.demo.records import RunFacts
from examples.complete_journey.demo.shares import Share, Spread
from examples.complete_journey.demo.words import (
    book_word,
    down_word,
    mode_word,
    ordered_sources,
    source_word,
)

_BOX = box.SIMPLE_HEAD


def print_report(
    console: Console, figures: Figures, facts: RunFacts, claims: Iterable[Claim]
) -> None:
    """Print the report; needs about a hundred columns, wraps in fewer."""
    console.print(text_report(figures, facts, list(claims)))


def text_report(figures: Figures, facts: RunFacts, claims: list[Claim]) -> RenderableType:
    """Return the report as something rich can print."""
    return Group(
        Text(
            f"Store {facts.store}, {figures.receipts:,} real receipts, {figures.lines:,} lines, "
            f"{figures.answers:,} answers at {len(facts.lanes)} registers in {facts.wall_s:.0f} s "
            f"on {facts.machine.cpu_count} cores"
        ),
        _weeks(figures),
        _times(figures.latency),
        _claims(claims),
        _verdict(claims),
    )


def _claims(claims: list[Claim]) -> Table:
    table = Table(box=_BOX, pad_edge=False, collapse_padding=True)
    table.add_column("")
    table.add_column("claim", ratio=1)
    table.add_column("measured")
    table.add_column("wanted")
    for claim in claims:
        mark = Text("✓", style="bold green") if claim.holds else Text("✗ no", style="bold red")
        table.add_row(mark, claim.sentence, claim.measured, claim.wanted)
    return table


def _weeks(figures: Figures) -> Table:
    table = Table(box=_BOX, pad_edge=False, collapse_padding=True)
    sources = ordered_sources(figures)
    for name in ("week", "WAN", "gateway", "book", "mode"):
        table.add_column(name)
    for name in (
        *map(source_word, sources),
        "rule B",
        "served",
        "cloud",
        "p50",
        "p95",
        "max ms",
    ):
        table.add_column(name, justify="right")
    for week in figures.weeks:
        right = week.accuracy
        table.add_row(
            str(week.week),
            down_word(week.wan_down, "up", "cut"),
            down_word(week.gateway_down, "up", "dead"),
            book_word(week.book_age_days),
            mode_word(week.mode),
            *(str(week.answers.get(source, 0)) for source in sources),
            "-" if right.rule_b is None else _number(right.rule_b),
            Text(_number(right.served), style="bold"),
            _number(week.escalation.all_lines),
            *(f"{value:.0f}" for value in (week.took_ms.p50, week.took_ms.p95, week.took_ms.max)),
        )
    return table


def _number(share: Share) -> str:
    return percent(share).removesuffix(" %")


def _times(latency: Latency) -> Table:
    table = Table(box=_BOX, pad_edge=False)
    table.add_column("milliseconds")
    for name in ("count", "p50", "p95", "p99", "max", "allowed", "over"):
        table.add_column(name, justify="right")
    rows: list[tuple[str, Spread | None, float, int]] = [
        ("at the register", latency.terminal, latency.budget_ms, latency.outside_terminal),
        ("in the gateway", latency.gateway, latency.budget_ms, latency.outside_gateway),
    ]
    rows += [
        (" ".join(filter(None, ("  " + s.stage, s.workflow))), s.spent, s.allotted_ms, s.over)
        for s in latency.stages
    ]
    for name, spread, allowed, over in rows:
        if spread is not None:
            values = (f"{value:.1f}" for value in (spread.p50, spread.p95, spread.p99, spread.max))
            table.add_row(name, f"{spread.count:,}", *values, f"{allowed:.0f}", str(over))
    return table


def _verdict(claims: list[Claim]) -> Text:
    failing = [claim.name for claim in claims if not claim.holds]
    if not failing:
        return Text(f"All {len(claims)} claims hold.", style="bold green")
    return Text(
        f"{len(failing)} of {len(claims)} claims do not hold: {', '.join(failing)}",
        style="bold red",
    )
