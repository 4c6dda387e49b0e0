"""docs/configuration.md, docs/cli.md and docs/metrics.md say what the code does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from gateway.api.interceptors import ServerMetrics
from gateway.config_file import effective_settings
from gateway.control_metrics import ControlMetrics
from gateway.exits import MEANINGS
from gateway.metrics import ServingMetrics
from tests.control.test_config import LEAST
from tests.control.test_health import SEEN, WELL, codes

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| `([^`]+)` \|([^|]*)\|", re.MULTILINE)


def rows(name: str) -> dict[str, str]:
    text = (DOCS / name).read_text(encoding="utf-8")
    return {key: value.strip().strip("`") for key, value in ROW.findall(text)}


def test_every_key_is_documented_with_its_default(tmp_path: Path) -> None:
    path = tmp_path / "posgate.toml"
    path.write_text(LEAST)
    expected = {
        setting.key: "required" if setting.origin == "file" else setting.value or "none"
        for setting in effective_settings(path)
    }
    assert rows("configuration.md") == expected


def test_every_metric_is_documented(tmp_path: Path) -> None:
    named = set()
    for make in (ServingMetrics, ControlMetrics, ServerMetrics):
        registry = CollectorRegistry()
        make(registry)
        for family in registry.collect():
            named.add(f"{family.name}_total" if family.type == "counter" else family.name)
    assert set(rows("metrics.md")) == named


def test_every_exit_status_is_documented() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    section = text.partition("## Exit status")[2].partition("## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == {
        int(code) for code in MEANINGS
    }


def test_every_condition_of_control_is_documented() -> None:
    documented = {key for key in rows("cli.md") if re.fullmatch(r"[A-Z_]+", key)}
    shown = {
        code
        for changes, _ in SEEN.values()
        for code in codes(replace(WELL, **changes))  # type: ignore[arg-type]
    }
    # Those two are serving's reasons in the table of what may be seen.
    assert shown - {"MODEL_STALE", "ODD"} == documented
