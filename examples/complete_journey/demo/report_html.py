"""The report as one page: no script, nothing from elsewhere, light and dark, narrow and wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from examples.complete_journey.demo.claims import Claim, percent
from examples.complete_journey.demo.markup import Node, node, page
from examples.complete_journey.demo.measure import Figures
from examples.complete_journey.demo.page_parts import section, sign
from examples.complete_journey.demo.page_sections import (
    accuracy_section,
    answers_section,
    latency_section,
    parts_section,
)
from examples.complete_journey.demo.records import RunFacts

TITLES = {
    "calendar": "A real store, with the WAN pulled in the middle",
    "folded": "A real store's year, folded onto one day",
}
STYLE = Path(__file__).with_name("report.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report_page(figures: Figures, facts: RunFacts, claims: Sequence[Claim]) -> str:
    """Return the page."""
    title = f"posgate demo: store {facts.store}"
    head = node(
        "head",
        None,
        node("meta", {"charset": "utf-8"}),
        node("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        node("meta", {"name": "color-scheme", "content": "light dark"}),
        node("meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        node("title", None, title),
        node("style", None, STYLE.read_text(encoding="utf-8")),
    )
    body = node(
        "body",
        None,
        node(
            "main",
            None,
            _header(figures, facts, claims),
            _claims(claims),
            *(_sections(figures, facts) if figures.weeks else ()),
            _run(facts),
        ),
    )
    return page(node("html", {"lang": "en"}, head, body))


def _sections(figures: Figures, facts: RunFacts) -> list[Node]:
    busy = [answers_section(figures, facts), latency_section(figures)]
    if facts.replay != "calendar":
        return busy
    return [accuracy_section(figures, facts), *busy, parts_section(figures)]


def _header(figures: Figures, facts: RunFacts, claims: Sequence[Claim]) -> Node:
    failing = sum(not claim.holds for claim in claims)
    verdict = (
        f"All {len(claims)} claims hold"
        if not failing
        else f"{failing} of {len(claims)} claims do not hold"
    )
    cut = _cut_sentence(facts)
    return node(
        "header",
        None,
        node("p", {"class": "brand"}, f"posgate demo · store {facts.store}"),
        node("h1", None, TITLES[facts.replay]),
        node(
            "p",
            {"class": "lead"},
            f"{figures.receipts:,} real receipts with {figures.lines:,} lines, rung up at "
            f"{len(facts.lanes)} registers in {facts.wall_s:.0f} seconds.{cut}",
        ),
        node(
            "p",
            {"class": "verdict " + ("bad" if failing else "good")},
            sign(not failing),
            node("strong", None, verdict),
        ),
        node("dl", {"class": "tiles"}, *_tiles(figures, facts)),
    )


def _cut_sentence(facts: RunFacts) -> str:
    if facts.wan_cut is None:
        return ""
    start, end = facts.wan_cut
    dead = "" if facts.gateway_dead is None else ", and within it the gateway is killed"
    days = f"from {start.day} {start:%B} to {end.day} {end:%B}"
    return f" The WAN is cut {days} of store time{dead}."


def _tiles(figures: Figures, facts: RunFacts) -> Iterator[Node]:
    right, latency = figures.accuracy.total, figures.latency
    books = facts.settle.decisions_lost + facts.settle.decisions_doubled
    offline = figures.coupons.offline
    coupons, when = (offline, " offline") if offline.whole else (figures.coupons.online, "")
    pace = figures.answers / facts.wall_s if facts.wall_s else 0.0
    tiles = [
        ("Answers a second", f"{pace:.0f}", "over the whole run")
        if right.rule_b is None
        else (
            "Price check, as served",
            percent(right.served),
            f"rule B alone: {percent(right.rule_b)}",
        ),
        ("Answers outside budget", f"{latency.outside:,}", f"of {figures.answers:,}"),
        ("Decisions lost or doubled", f"{books:,}", f"of {facts.settle.decisions_acted:,}"),
        (
            f"Coupon verdicts changed{when}",
            f"{coupons.whole - coupons.part:,}",
            f"of {coupons.whole:,}",
        ),
        ("Lines sent to the cloud", percent(figures.escalation.lines), "where it could be asked"),
    ]
    if latency.terminal is not None:
        tiles.append(
            (
                "p95 at the register",
                f"{latency.terminal.p95:.0f} ms",
                f"budget {latency.budget_ms:.0f} ms",
            )
        )
    for name, value, note in tiles:
        yield node(
            "div",
            None,
            node("dt", None, name),
            node("dd", None, value, node("small", None, note) if note else None),
        )


def _claims(claims: Sequence[Claim]) -> Node:
    def item(claim: Claim) -> Node:
        word = "holds" if claim.holds else "does not hold"
        return node(
            "li",
            {"class": "good" if claim.holds else "bad", "id": claim.name},
            sign(claim.holds),
            node("span", {"class": "sentence"}, claim.sentence),
            node("span", {"class": "measured"}, claim.measured),
            node("span", {"class": "wanted"}, f"{word} · wanted: {claim.wanted}"),
        )

    # Those that fail come first: they are what the reader must see.
    ranked = sorted(claims, key=lambda claim: claim.holds)
    return section("Claims", None, node("ul", {"class": "claims"}, *map(item, ranked)))


def _run(facts: RunFacts) -> Node:
    restart = facts.first_answer_after_restart_ms
    settle = facts.settle
    entries = {
        "Started": f"{facts.started:%Y-%m-%d %H:%M:%S %Z}",
        "Machine": f"{facts.machine.cpu_count} cores, {facts.machine.system}, "
        f"Python {facts.machine.python}",
        "Processes": ", ".join(facts.processes),
        "Versions": ", ".join(f"{name} {version}" for name, version in facts.versions.items()),
        "Replay": f"{facts.replay}, weeks {min(facts.weeks, default=0)} to "
        f"{max(facts.weeks, default=0)}",
        "Questions that reached the cloud": f"{facts.deep_calls:,}",
        "First answer after the restart": "none" if restart is None else f"{restart:.0f} ms",
        "Decisions of record": f"{settle.decisions_recorded:,} of {settle.decisions_acted:,}, "
        f"{settle.decisions_superseded:,} gateway answers superseded by a register's own",
        "Register against gateway in emergency": f"{facts.answers_agreed:,} of "
        f"{facts.answers_compared:,} equal",
    }
    rows = [
        node("div", None, node("dt", None, name), node("dd", None, value or "none"))
        for name, value in entries.items()
    ]
    return section("The run", None, node("dl", {"class": "facts"}, *rows))
