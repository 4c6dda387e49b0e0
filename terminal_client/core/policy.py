"""The signed policy: what each workflow may do, in which mode, for how long.

Owns the policy's types and their reading. All of it is data in the rules bundle; nothing
here has a value of its own in code. A policy that cannot be kept (stages that exceed the
budget, bands that overlap, a mode without a row) is refused when it is built and again
when it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from terminal_client.core.decision import Verdict
from terminal_client.core.freshness import FreshnessLimits
from terminal_client.core.modes import Mode, Tier
from terminal_client.core.reading import DocumentError, Fields

T = TypeVar("T")
_MS = timedelta(milliseconds=1)

TIERS: Mapping[str, Tier] = {tier.name.lower(): tier for tier in Tier}
MODES: Mapping[str, Mode] = {mode.name.lower(): mode for mode in Mode}
VERDICTS: Mapping[str, Verdict] = {verdict.name.lower(): verdict for verdict in Verdict}
STAGES = ("admission", "features", "edge", "deep", "rules", "encode")
CHANNELS = ("models", "rules", "features")
INFLUENCES = ("expected", "review_flag", "recommendations", "outputs")
"""What a model may be allowed to touch. Price, payment and a promotion's outcome are
not in the list, so no policy can allow them."""


class WorkflowKind(StrEnum):
    """What a workflow does; several workflows may be of one kind."""

    PROMOTION_VALIDATION = "promotion_validation"
    PRICE_CHECK = "price_check"
    TRANSACTION_SCORING = "transaction_scoring"
    BASKET_VALIDATION = "basket_validation"
    RECOMMENDATION = "recommendation"
    QUEUE_ESTIMATE = "queue_estimate"
    AGE_CHECK = "age_check"


class Priority(StrEnum):
    """Who is shed last when there is too much work."""

    PAYMENT = "payment"
    NORMAL = "normal"
    DEFERRABLE = "deferrable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """When a tier's score may be acted on: ``score <= low`` or ``score >= high``.

    Holds while the feature tables are at most ``age_days_max`` old and exactly the
    tables in ``missing`` are absent. Scores between the two are borderline.
    """

    age_days_max: int
    low: float
    high: float
    missing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """A tier's bands, youngest first."""

    bands: tuple[Band, ...]

    def at(self, age_days: int, missing: frozenset[str]) -> Band | None:
        """Return the band in force, or None: nothing may be acted on."""
        for band in self.bands:
            if age_days <= band.age_days_max and missing == band.missing:
                return band
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowPolicy:
    """One workflow: tiers, models, budget, bands and caps."""

    name: str
    kind: WorkflowKind
    budget: timedelta
    stages: Mapping[str, timedelta]
    tiers: frozenset[Tier]
    priority: Priority = Priority.NORMAL
    interactive: bool = True
    edge_model: str = ""
    deep_model: str = ""
    edge_bands: Bands = Bands(bands=())
    deep_bands: Bands = Bands(bands=())
    influence: frozenset[str] = frozenset()
    highest_verdict: Verdict = Verdict.REVIEW
    both_uncertain: Verdict = Verdict.APPROVE
    contradiction_low: float = 0.0
    contradiction_high: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRow:
    """What one mode allows and says."""

    tiers: frozenset[Tier]
    telemetry_fields: frozenset[str]
    alerts: tuple[str, ...]
    cashier_prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything the rules bundle says about deciding."""

    workflows: Mapping[str, WorkflowPolicy]
    modes: Mapping[Mode, ModeRow]
    freshness: Mapping[str, FreshnessLimits]
    pin_lifetime: timedelta
    rise_after: timedelta
    expired_rules: Verdict
    clock_tolerance: timedelta

    def tiers(self, workflow: WorkflowPolicy, mode: Mode) -> frozenset[Tier]:
        """Return the tiers that ``workflow`` may use in ``mode``."""
        return workflow.tiers & self.modes[mode].tiers


def read_policy(value: object, path: str = "policy") -> Policy:
    """Read a policy from its JSON value.

    Raises:
        DocumentError: something is missing, mistyped, unknown or cannot be kept.
    """
    fields = Fields(value, path)
    workflows = fields.table("workflows", _read_workflow)
    policy = Policy(
        workflows=workflows,
        modes=_read_modes(fields.object("modes")),
        freshness=_read_freshness(fields.object("freshness")),
        pin_lifetime=timedelta(seconds=fields.integer("pin_lifetime_s", 0, 86_400)),
        rise_after=timedelta(milliseconds=fields.integer("rise_after_ms", 0, 3_600_000)),
        expired_rules=fields.choice("expired_rules", {"keep": Verdict.APPROVE} | dict(VERDICTS)),
        clock_tolerance=timedelta(seconds=fields.integer("clock_tolerance_s", 0, 2**31)),
    )
    fields.close()
    if not workflows:
        raise DocumentError(fields.at("workflows"), "is empty", "declare at least one workflow")
    return policy


def _read_workflow(value: object, path: str) -> WorkflowPolicy:
    fields = Fields(value, path)
    stages = fields.table("stages_ms", _read_millis)
    contradiction = _read_contradiction(fields)
    workflow = WorkflowPolicy(
        name=path.rpartition(".")[2],
        kind=fields.choice("kind", {kind.value: kind for kind in WorkflowKind}),
        budget=timedelta(milliseconds=fields.integer("budget_ms", 1, 60_000)),
        stages=stages,
        tiers=frozenset(fields.items("tiers", _read_tier)),
        priority=fields.choice("priority", {p.value: p for p in Priority}, "normal"),
        interactive=fields.flag("interactive", True),
        edge_model=fields.text("edge_model", ""),
        deep_model=fields.text("deep_model", ""),
        edge_bands=Bands(bands=fields.items("edge_bands", _read_band)),
        deep_bands=Bands(bands=fields.items("deep_bands", _read_band)),
        influence=frozenset(fields.items("influence", _read_influence)),
        highest_verdict=fields.choice("highest_verdict", VERDICTS, "review"),
        both_uncertain=fields.choice("both_uncertain", VERDICTS, "approve"),
        contradiction_low=contradiction[0],
        contradiction_high=contradiction[1],
    )
    fields.close()
    _check_workflow(workflow, path)
    return workflow


def _read_contradiction(fields: Fields) -> tuple[float, float]:
    if not fields.has("contradiction"):
        return 0.0, 1.0
    inner = fields.object("contradiction")
    low, high = inner.number("low", 0.0, 1.0), inner.number("high", 0.0, 1.0)
    inner.close()
    return low, high


def _check_workflow(workflow: WorkflowPolicy, path: str) -> None:
    unknown = sorted(set(workflow.stages) - set(STAGES))
    if unknown:
        raise DocumentError(
            f"{path}.stages_ms.{unknown[0]}", "is no stage", f"use {', '.join(STAGES)}"
        )
    needed = sum(workflow.stages.values(), timedelta(0))
    if needed > workflow.budget:
        raise DocumentError(
            f"{path}.stages_ms",
            f"adds up to {needed // _MS} ms of {workflow.budget // _MS} ms",
            "shorten stages or raise budget_ms",
        )
    if Tier.RULES not in workflow.tiers:
        raise DocumentError(f"{path}.tiers", "has no rules", "add rules: they always answer")
    for tier, model in (
        (Tier.EDGE_MODEL, workflow.edge_model),
        (Tier.DEEP_MODEL, workflow.deep_model),
    ):
        if (tier in workflow.tiers) != bool(model):
            raise DocumentError(
                f"{path}.{tier.name.split('_')[0].lower()}_model",
                "and tiers do not go together",
                f"name a model exactly when tiers has {tier.name.lower()}",
            )


def _read_band(value: object, path: str) -> Band:
    fields = Fields(value, path)
    band = Band(
        age_days_max=fields.integer("age_days_max", 0, 36_500),
        low=fields.number("low", 0.0, 1.0),
        high=fields.number("high", 0.0, 1.0),
        missing=frozenset(fields.texts("missing")),
    )
    fields.close()
    if band.low > band.high:
        raise DocumentError(f"{path}.low", "is above high", "write low <= high")
    return band


def _read_modes(fields: Fields) -> dict[Mode, ModeRow]:
    rows = {}
    for name, mode in MODES.items():
        inner = fields.object(name)
        rows[mode] = ModeRow(
            tiers=frozenset(inner.items("tiers", _read_tier)),
            telemetry_fields=frozenset(inner.texts("telemetry_fields")),
            alerts=inner.texts("alerts"),
            cashier_prompt=inner.text("cashier_prompt", ""),
        )
        inner.close()
        if Tier.RULES not in rows[mode].tiers:
            raise DocumentError(inner.at("tiers"), "has no rules", "add rules: they always answer")
    fields.close()
    return rows


def _read_freshness(fields: Fields) -> dict[str, FreshnessLimits]:
    limits = {}
    for channel in CHANNELS:
        inner = fields.object(channel)
        fresh_days = inner.integer("fresh_days", 0, 36_500)
        limits[channel] = FreshnessLimits(
            fresh_for=timedelta(days=fresh_days),
            usable_for=timedelta(days=inner.integer("usable_days", fresh_days, 36_500)),
        )
        inner.close()
    fields.close()
    return limits


def _read_tier(value: object, path: str) -> Tier:
    return _read_word(value, path, TIERS)


def _read_influence(value: object, path: str) -> str:
    return _read_word(value, path, {word: word for word in INFLUENCES})


def _read_word(value: object, path: str, words: Mapping[str, T]) -> T:
    if not isinstance(value, str) or value not in words:
        raise DocumentError(path, f"is {value!r:.40}", f"write one of {', '.join(sorted(words))}")
    return words[value]


def _read_millis(value: object, path: str) -> timedelta:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 60_000:
        raise DocumentError(path, f"is {value!r:.40}", "write milliseconds in [0, 60000]")
    return timedelta(milliseconds=value)
