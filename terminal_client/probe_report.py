"""What ``posgate-terminal`` found, as text and as JSON, and the exit status it comes down to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

OK, USAGE, UNREACHABLE, DEGRADED, UNVERIFIED = 0, 2, 3, 4, 6
_WORD = {OK: "ok", UNREACHABLE: "unreachable", DEGRADED: "degraded", UNVERIFIED: "unverified"}


@dataclass(kw_only=True)
class Findings:
    """What was seen. Absent parts were not reached, or not asked for."""

    gateway: str
    control: str
    status: str = _WORD[OK]
    problems: list[str] = field(default_factory=list)
    tls: dict[str, dict[str, str]] = field(default_factory=dict)
    hello: dict[str, object] | None = None
    rules: dict[str, object] | None = None
    evaluate: dict[str, object] | None = None
    own_answer: dict[str, object] | None = None
    agrees: bool | None = None
    _worst: int = OK

    def found(self, code: int, problem: str) -> None:
        """Note a problem; the exit status is that of the gravest."""
        self.problems.append(problem)
        order = (OK, DEGRADED, UNREACHABLE, UNVERIFIED)
        self._worst = max(self._worst, code, key=order.index)
        self.status = _WORD[self._worst]

    @property
    def exit_status(self) -> int:
        """As ``--help`` lists it."""
        return self._worst


def _as_dict(findings: Findings) -> dict[str, object]:
    return {key: value for key, value in asdict(findings).items() if not key.startswith("_")}


def as_json(findings: Findings) -> str:
    """Return the findings as JSON; fields are added, never changed."""
    return json.dumps(_as_dict(findings), indent=2)


def as_text(findings: Findings) -> str:
    """Return the findings for people."""
    lines = []
    for key, value in _as_dict(findings).items():
        if key in ("problems", "status") or value in (None, {}):
            continue
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [f"  {name:<16} {_plain(inner)}" for name, inner in value.items()]
        else:
            lines.append(f"{key + ':':<18} {_plain(value)}")
    lines += [f"problem:           {problem}" for problem in findings.problems]
    return "\n".join([*lines, f"status:            {findings.status}"])


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items() if inner != "")
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)
