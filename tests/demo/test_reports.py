"""The reports of a whole run: what they hold, that they stand alone, that they are documented."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

import pytest
from rich.console import Console

from examples.complete_journey.demo.chart_answers import tick_step
from examples.complete_journey.demo.markup import node, page
from examples.complete_journey.demo.records import CallRecord, RunFacts
from examples.complete_journey.demo.reports import write_reports
from tests.demo.plausible import plausible_run

Run = tuple[list[CallRecord], RunFacts]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "demo.md"
FREE_NAMES = {
    "by_week": "<week>",
    "weeks": "<week>",
    "by_tier": "<tier>",
    "by_place": "<place>",
    "by_place_ms": "<place>",
    "by_mode": "<mode>",
    "by_book_age": "<book_age>",
    "answers": "<source>",
    "results": "<result>",
    "versions": "<package>",
}


# Coloured by another class of the same element, or by a rule for all that begin alike.
UNSTYLED = {"wide", "max", "p50", "s-terminal-emergency"}


@pytest.fixture(scope="module")
def run() -> Run:
    return plausible_run()


@pytest.fixture(scope="module")
def reported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[bool, Path, str]:
    """Return the verdict, the folder of the reports, and what was printed."""
    folder = tmp_path_factory.mktemp("demo") / "build"
    printed = StringIO()
    holds = write_reports(*run, folder, Console(file=printed, width=100))
    return holds, folder, printed.getvalue()


@pytest.fixture(scope="module")
def document(reported: tuple[bool, Path, str]) -> dict[str, Any]:
    text = (reported[1] / "report.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.fixture(scope="module")
def html(reported: tuple[bool, Path, str]) -> str:
    return (reported[1] / "report.html").read_text(encoding="utf-8")


def test_a_run_in_which_everything_holds_says_so_everywhere(
    reported: tuple[bool, Path, str], document: dict[str, Any], html: str
) -> None:
    holds, _, printed = reported
    assert holds is True
    assert document["holds"] is True
    assert f"All {len(document['claims'])} claims hold" in printed
    assert f"All {len(document['claims'])} claims hold" in html


def test_one_claim_that_fails_turns_every_report(run: Run, tmp_path: Path) -> None:
    calls, facts = run
    bad = replace(facts, settle=replace(facts.settle, decisions_lost=1))
    printed = StringIO()
    assert write_reports(calls, bad, tmp_path, Console(file=printed, width=100)) is False
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [c["name"] for c in document["claims"] if not c["holds"]] == ["decisions_kept"]
    assert document["holds"] is False
    assert "1 of 14 claims do not hold: decisions_kept" in printed.getvalue()
    first = Tree.fromstring(page_body(tmp_path)).find(".//ul[@class='claims']/li")
    assert first is not None
    assert (first.get("id"), first.get("class")) == ("decisions_kept", "bad")
    assert "does not hold" in "".join(first.itertext())


def page_body(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8").removeprefix("<!DOCTYPE html>")


def paths(value: Any, path: str = "") -> Iterator[str]:
    """Yield the fields of a document as docs/demo.md writes them."""
    last = re.split(r"[.\[]", path)[-1]
    if isinstance(value, dict):
        # The total of answers is a number, a week's answers are a table.
        free = FREE_NAMES.get(last)
        for key, inner in value.items():
            name = free or key
            yield from paths(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from paths(inner, f"{path}[]")
    else:
        yield path


def documented() -> list[str]:
    section = DOCUMENT.read_text(encoding="utf-8").partition("## report.json")[2]
    return re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE)


def test_the_document_lists_exactly_the_fields_of_the_report(document: dict[str, Any]) -> None:
    listed = documented()
    assert len(set(listed)) == len(listed)
    assert set(listed) == set(paths(document))


def test_the_document_lists_exactly_the_claims(document: dict[str, Any]) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition("## What is claimed")[2]
    listed = re.findall(r"^\| `([^`]+)` \|", section.partition("\n## ")[0], flags=re.MULTILINE)
    # Made only where a gateway was in emergency, which this run never is.
    assert set(listed) - {"registers_agree"} == {claim["name"] for claim in document["claims"]}


def test_the_figures_of_the_run_add_up(document: dict[str, Any], run: Run) -> None:
    calls, _ = run
    assert document["answers"] == len(calls)
    assert (document["receipts"], document["lines"]) == (514, 5482)
    assert sum(sum(w["answers"].values()) for w in document["weeks"].values()) == len(calls)
    by_week = document["accuracy"]["by_week"]
    assert list(by_week) == ["47", "48", "49", "50", "51", "52", "53"]
    for cut in ("by_tier", "by_place", "by_mode", "by_book_age"):
        assert sum(group["lines"] for group in document["accuracy"][cut].values()) == 5482
    for week in by_week.values():
        tiers = [week["lines"][tier] for tier in ("edge_model", "deep_model", "rules")]
        assert sum(tiers) == week["lines"]["all"]
    # Rule B depends on receipts and committed books alone.
    assert [round(week["rule_b"], 3) for week in by_week.values()] == [
        0.793, 0.848, 0.811, 0.776, 0.737, 0.813, 0.826,
    ]  # fmt: skip


class Reader(HTMLParser):
    """Reads a page as a browser would, and remembers what it refers to."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"src", "href", "srcset", "action", "data", "poster", "style"}:
                self.references.append(f"{name}={value}")
            if name.startswith("on"):
                self.references.append(name)
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_as_html_and_as_xml(html: str) -> None:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert len(set(reader.ids)) == len(reader.ids)
    assert Tree.fromstring(html.removeprefix("<!DOCTYPE html>")).tag == "html"


def test_the_page_refers_to_nothing_and_runs_nothing(html: str) -> None:
    reader = Reader()
    reader.feed(html)
    assert reader.references == []
    assert reader.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base"})
    assert re.findall(r"https?:|//[a-z]|url\(|@import", html) == []
    assert "default-src 'none'" in html


def test_the_style_survives_both_ways_of_reading() -> None:
    style = DOCUMENT.parents[1] / "examples/complete_journey/demo/report.css"
    text = style.read_text(encoding="utf-8")
    assert not set("<>&") & set(text)
    assert "prefers-color-scheme: dark" in text
    assert text.count("{") == text.count("}")


def test_every_class_of_the_drawings_is_styled(html: str) -> None:
    style = html.partition("<style>")[2].partition("</style>")[0]
    body = html.partition("</head>")[2]
    used = {name for value in re.findall(r'class="([^"]+)"', body) for name in value.split()}
    assert {name for name in used if not re.search(rf"\.{name}\b", style)} <= UNSTYLED


def test_a_chart_tells_a_screen_reader_its_numbers(html: str, document: dict[str, Any]) -> None:
    root = Tree.fromstring(html.removeprefix("<!DOCTYPE html>"))
    titles = [svg.get("aria-label", "") for svg in root.iter("svg") if svg.get("role") == "img"]
    assert len(titles) == 6
    served = document["accuracy"]["by_week"]["50"]["all"]
    assert sum(f"{100 * served:.1f} %" in title for title in titles) == 2
    assert {svg.get("aria-hidden") for svg in root.iter("svg") if not svg.get("role")} == {"true"}


def test_words_from_a_record_are_escaped(run: Run, tmp_path: Path) -> None:
    calls, facts = run
    odd = replace(facts, versions={"<script>": "1 & 2"}, processes=('"a" <b>',))
    write_reports(calls[:40], odd, tmp_path, Console(file=StringIO()))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt; 1 &amp; 2" in text
    assert "<script" not in text


@pytest.mark.parametrize("replay", ["calendar", "folded"])
def test_a_run_without_calls_is_reported_as_well(run: Run, tmp_path: Path, replay: str) -> None:
    empty = replace(run[1], replay=replay, wan_cut=None, gateway_dead=None, weeks=())
    assert write_reports([], empty, tmp_path, Console(file=StringIO())) is False
    assert Tree.fromstring(page_body(tmp_path)).tag == "html"


def test_a_folded_replay_is_one_week_without_accuracy_claims(run: Run, tmp_path: Path) -> None:
    calls, facts = run
    year = [replace(one, week=1 + n % 53, rules_version="1.53.0") for n, one in enumerate(calls)]
    folded = replace(facts, replay="folded", wan_cut=None, gateway_dead=None)
    assert write_reports(year, folded, tmp_path, Console(file=StringIO())) is True
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert list(document["weeks"]) == ["53"]
    assert document["accuracy"]["total"]["rule_b"] is None
    titles = [h2.text for h2 in Tree.fromstring(page_body(tmp_path)).iter("h2")]
    assert titles == ["Claims", "Who answered", "Where the time went", "The run"]


def test_the_screen_shows_a_row_per_week_and_a_mark_per_claim(
    reported: tuple[bool, Path, str], document: dict[str, Any]
) -> None:
    printed = reported[2]
    assert printed.count("✓") == len(document["claims"])
    for week in document["weeks"]:
        (row,) = re.findall(rf"^ {week} .*$", printed, flags=re.MULTILINE)
        served = document["accuracy"]["by_week"][week]["all"]
        assert f"{100 * served:.1f}" in row
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= 120


@pytest.mark.parametrize(
    ("most", "step"), [(0, 1), (5, 1), (6, 2), (10, 2), (11, 5), (119, 50), (500, 100), (501, 200)]
)
def test_an_axis_has_round_steps(most: int, step: int) -> None:
    assert tick_step(most) == step


def test_an_empty_element_is_refused_rather_than_left_open() -> None:
    with pytest.raises(ValueError, match="<td> is empty"):
        page(node("html", None, node("td")))
    assert "<line" in page(node("html", None, node("line")))
