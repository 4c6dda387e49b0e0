"""The end of a run: figures, claims, and the three reports of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from examples.complete_journey.demo.claims import judge
from examples.complete_journey.demo.measure import measure
from examples.complete_journey.demo.records import CallRecord, RunFacts
from examples.complete_journey.demo.report_html import report_page
from examples.complete_journey.demo.report_json import report_document
from examples.complete_journey.demo.report_text import print_report
from examples.complete_journey.demo.rule_b import RuleB, committed_table, rules_week
from examples.complete_journey.replay import read_replay


def write_reports(
    calls: Iterable[CallRecord], facts: RunFacts, folder: Path, console: Console
) -> bool:
    """Write ``report.json`` and ``report.html`` into ``folder`` and print the report.

    Returns:
        True when every claim holds.

    Raises:
        ValueError: a call does not belong to the committed replay.
    """
    rule_b = None
    if facts.replay == "calendar":
        rule_b = RuleB(read_replay("calendar"), committed_table)
    else:
        # Its receipts come from the whole year; the day they are played on has one book.
        calls = [replace(call, week=rules_week(call.rules_version)) for call in calls]
    figures = measure(calls, facts, rule_b)
    claims = judge(figures, facts)
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(report_document(figures, facts, claims), indent=1, allow_nan=False)
    (folder / "report.json").write_text(document + "\n", encoding="utf-8")
    (folder / "report.html").write_text(report_page(figures, facts, claims), encoding="utf-8")
    print_report(console, figures, facts, claims)
    console.print(f"Reports: {folder / 'report.html'} and {folder / 'report.json'}")
    return all(claim.holds for claim in claims)
