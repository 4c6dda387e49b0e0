"""Write ``tests/vectors/rules/coupons-*.json``: ``python -m tests.rules.coupons.write_vectors``."""

from __future__ import annotations

import json
from pathlib import Path

from tests.rules.coupons import (
    vector_cases_gs1,
    vector_cases_store,
    vector_cases_unverified,
)
from tests.rules.coupons.vector_notation import Json

FOLDER = Path(__file__).parents[2] / "vectors" / "rules"
FILES: dict[str, list[Json]] = {
    "coupons-store.json": vector_cases_store.CASES,
    "coupons-gs1.json": vector_cases_gs1.CASES,
    "coupons-unverified.json": vector_cases_unverified.CASES,
}


def text_of(cases: list[Json]) -> str:
    """Return the file's text: one case a line, so that a diff shows the case."""
    rows = ",\n".join(json.dumps(case, ensure_ascii=False, sort_keys=True) for case in cases)
    return f'{{"format": 1, "cases": [\n{rows}\n]}}\n'


def main() -> None:
    for name, cases in FILES.items():
        (FOLDER / name).write_text(text_of(cases), encoding="utf-8")


if __name__ == "__main__":
    main()
