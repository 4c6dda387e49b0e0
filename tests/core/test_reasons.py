"""Every code has an owner, a meaning and a next step, and the runbook says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from terminal_client.core.reasons import REASON_CODES, ReasonCode

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs/reason-codes.md").read_text()
# Where code names a reason: Reason(code="X"), or a word of the families that only reasons use.
USED = re.compile(
    r'code="([A-Z][A-Z0-9_]+)"|"((?:BOTH|COUPON|LINE|MODEL|PRICE|PROMOTION|RECORD|RULES?|WAN)_[A-Z0-9_]+)"'
)


def test_the_runbook_has_a_row_for_every_code() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (\w+) \| (.*) \| (.*) \|$", RUNBOOK, re.MULTILINE)
    assert rows == [
        (code.code, code.owner.value, code.meaning, code.next_step)
        for code in sorted(REASON_CODES.values(), key=lambda code: code.code)
    ]


@pytest.mark.parametrize("code", REASON_CODES.values(), ids=REASON_CODES)
def test_a_code_is_two_sentences_for_a_person(code: ReasonCode) -> None:
    assert re.fullmatch(r"[A-Z][A-Z0-9_]*", code.code)
    assert code.meaning.endswith(".")
    assert code.next_step.endswith(".")


def test_every_code_that_the_code_gives_is_registered() -> None:
    used = {
        code
        for folder in ("terminal_client", "gateway", "cloud_sync")
        for path in (ROOT / folder).rglob("*.py")
        for named in USED.findall(path.read_text())
        for code in named
        if code
    }
    assert used <= REASON_CODES.keys()
    assert "WORKFLOW_UNKNOWN" in used
