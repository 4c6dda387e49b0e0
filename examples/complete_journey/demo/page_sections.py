"""The page's sections of figures: accuracy, answers, times, and the cuts of the lines."""

from __future__ import annotations

from examples.complete_journey.demo.chart import NARROW, WIDE
from examples.complete_journey.demo.chart_accuracy import SERIES, accuracy_chart, mark
from examples.complete_journey.demo.chart_answers import answers_chart, source_class
from examples.complete_journey.demo.chart_latency import latency_chart, time_mark, time_rows
from examples.complete_journey.demo.claims import percent
from examples.complete_journey.demo.markup import Node, node
from examples.complete_journey.demo.measure import Figures, WeekFigures
from examples.complete_journey.demo.page_parts import figure, section, swatch, table
from examples.complete_journey.demo.records import RunFacts
from examples.complete_journey.demo.shares import Share
from examples.complete_journey.demo.words import (
    TIER_WORDS,
    book_word,
    down_word,
    ordered_sources,
    source_word,
)


def accuracy_section(figures: Figures, facts: RunFacts) -> Node:
    """Return accuracy by week, as chart and table."""
    legend = [(swatch(mark(css, 8, 8)), name) for css, name in SERIES]
    header = (
        "week",
        "WAN",
        "gateway",
        "book age",
        "mode",
        "lines",
        "rule B",
        "served",
        *TIER_WORDS.values(),
        "to cloud",
    )
    return section(
        "Accuracy against the real receipts",
        "Right: a loyalty price was expected exactly where the receipt shows one. Rule B reads "
        "only the signed tables that the store had at the time. The axis does not start at zero.",
        figure(legend, *(accuracy_chart(figures, facts, width) for width in (WIDE, NARROW))),
        table("By week", header, [_accuracy_row(week) for week in figures.weeks], texts=5),
    )


def _accuracy_row(week: WeekFigures) -> list[str]:
    right = week.accuracy
    return [
        str(week.week),
        down_word(week.wan_down, "up", "cut"),
        down_word(week.gateway_down, "up", "dead"),
        book_word(week.book_age_days),
        week.mode.replace("_", " "),
        f"{right.served.whole:,}",
        "-" if right.rule_b is None else percent(right.rule_b),
        percent(right.served),
        *(_tier(right.tiers.get(tier, Share())) for tier in TIER_WORDS),
        percent(week.escalation.all_lines),
    ]


def _tier(share: Share) -> str:
    return f"{percent(share)} of {share.whole:,}" if share.whole else "-"


def answers_section(figures: Figures, facts: RunFacts) -> Node:
    """Return who answered by week, as chart and table."""
    sources = ordered_sources(figures)
    legend = [
        (
            swatch(
                node(
                    "rect",
                    {
                        "x": 2,
                        "y": 2,
                        "width": 12,
                        "height": 12,
                        "rx": 2,
                        "class": f"bar {source_class(source)}",
                    },
                )
            ),
            source_word(source)
            if source.startswith("terminal")
            else f"gateway, {source_word(source)}",
        )
        for source in sources
    ]
    header = ("week", *(name for _, name in legend), "p50 ms", "p95 ms", "p99 ms", "max ms")
    rows = [
        [
            str(week.week),
            *(f"{week.answers.get(source, 0):,}" for source in sources),
            *_times(week.took_ms.p50, week.took_ms.p95, week.took_ms.p99, week.took_ms.max),
        ]
        for week in figures.weeks
    ]
    return section(
        "Who answered",
        "Answers by place and mode, one for every call a register made; times as the register "
        "saw them.",
        figure(legend, *(answers_chart(figures, facts, width) for width in (WIDE, NARROW))),
        table("Answers by week", header, rows),
    )


def latency_section(figures: Figures) -> Node:
    """Return times against what was allowed, as chart and table."""
    kinds = (
        ("p50", "median"),
        ("p95", "p95"),
        ("p99", "p99"),
        ("max", "worst"),
        ("allowed", "allowed"),
    )
    header = ("stage", "of", "count", "p50", "p95", "p99", "max", "allowed", "over")
    rows = [
        [
            row.name,
            row.detail,
            f"{row.spent.count:,}",
            *_times(row.spent.p50, row.spent.p95, row.spent.p99, row.spent.max),
            f"{row.allowed_ms:.0f}",
            f"{row.over:,}",
        ]
        for row in time_rows(figures.latency)
    ]
    return section(
        "Where the time went",
        "Milliseconds on a logarithmic axis. A stage is given the most its policy and the call's "
        "remaining time allow.",
        figure(
            [(swatch(time_mark(kind, 8, 8)), name) for kind, name in kinds],
            *(latency_chart(figures.latency, width) for width in (WIDE, NARROW)),
        ),
        table("Times in milliseconds", header, rows, texts=2),
    )


def _times(*milliseconds: float) -> list[str]:
    return [f"{value:.2f}" if value < 10 else f"{value:.1f}" for value in milliseconds]


def parts_section(figures: Figures) -> Node:
    """Return accuracy by tier, place, mode and age of the price book."""
    right = figures.accuracy
    tiers = {TIER_WORDS[tier]: share for tier, share in right.by_tier.items()}
    ages = {f"{age} days" if age != "none" else age: s for age, s in right.by_book_age.items()}
    groups = {
        "Tier": tiers,
        "Place": right.by_place,
        "Mode": right.by_mode,
        "Age of the book": ages,
    }
    rows = [
        [group, name.replace("_", " "), f"{share.whole:,}", percent(share)]
        for group, shares in groups.items()
        for name, share in shares.items()
    ]
    header = ("cut by", "group", "lines", "accuracy")
    return section(
        "The same lines, cut four ways",
        None,
        table("Accuracy by tier, place, mode and book age", header, rows, texts=2),
    )
