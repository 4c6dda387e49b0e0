"""A policy means exactly what its author wrote, or is refused with key and remedy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from terminal_client.core.decision import Verdict
from terminal_client.core.freshness import Freshness
from terminal_client.core.modes import Mode, Tier
from terminal_client.core.policy import Priority, WorkflowKind, read_policy
from terminal_client.core.reading import DocumentError
from tests.core.policies import POLICY, policy_with

PRICE = "workflows.price_check"


def test_a_policy_is_read_as_written() -> None:
    policy = read_policy(POLICY)
    price = policy.workflows["price_check"]
    assert price.kind is WorkflowKind.PRICE_CHECK
    assert price.priority is Priority.PAYMENT
    assert price.budget == timedelta(milliseconds=80)
    assert price.stages["deep"] == timedelta(milliseconds=50)
    assert (price.contradiction_low, price.contradiction_high) == (0.02, 0.98)
    assert policy.expired_rules is Verdict.APPROVE
    assert policy.freshness["rules"].judge(timedelta(days=8)) is Freshness.STALE
    assert policy.modes[Mode.EMERGENCY].cashier_prompt == "checkout_limited"


@pytest.mark.parametrize(
    ("mode", "tiers"),
    [
        (Mode.FULL, {Tier.EDGE_MODEL, Tier.DEEP_MODEL, Tier.RULES}),
        (Mode.CLOUD_ASSISTED, {Tier.DEEP_MODEL, Tier.RULES}),
        (Mode.LOCAL_ONLY, {Tier.EDGE_MODEL, Tier.RULES}),
        (Mode.EMERGENCY, {Tier.RULES}),
    ],
)
def test_a_workflow_may_use_what_it_and_the_mode_allow(mode: Mode, tiers: set[Tier]) -> None:
    policy = read_policy(POLICY)
    assert policy.tiers(policy.workflows["price_check"], mode) == tiers
    assert policy.tiers(policy.workflows["age_check"], mode) == {Tier.RULES}


@pytest.mark.parametrize(
    ("age_days", "missing", "high"),
    [
        (0, frozenset(), 0.92),
        (7, frozenset(), 0.92),
        (8, frozenset(), None),
        (8, frozenset({"plan"}), 0.97),
        (15, frozenset({"plan"}), None),
    ],
)
def test_bands_rise_with_age_and_end(
    age_days: int, missing: frozenset[str], high: float | None
) -> None:
    band = read_policy(POLICY).workflows["price_check"].edge_bands.at(age_days, missing)
    assert (band.high if band else None) == high


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("workflows", {}, "policy.workflows"),
        ("surprise", 1, "policy.surprise"),
        ("pin_lifetime_s", None, "policy.pin_lifetime_s"),
        ("pin_lifetime_s", "30", "policy.pin_lifetime_s"),
        ("pin_lifetime_s", True, "policy.pin_lifetime_s"),
        ("expired_rules", "panic", "policy.expired_rules"),
        (f"{PRICE}.kind", "telepathy", f"policy.{PRICE}.kind"),
        (f"{PRICE}.budget_ms", 74, f"policy.{PRICE}.stages_ms"),
        (f"{PRICE}.stages_ms.lunch", 1, f"policy.{PRICE}.stages_ms.lunch"),
        (f"{PRICE}.stages_ms.deep", -1, f"policy.{PRICE}.stages_ms.deep"),
        (f"{PRICE}.tiers", ["edge_model", "deep_model"], f"policy.{PRICE}.tiers"),
        (f"{PRICE}.tiers", ["rules", 7], f"policy.{PRICE}.tiers[1]"),
        (f"{PRICE}.edge_model", None, f"policy.{PRICE}.edge_model"),
        (f"{PRICE}.tiers", ["edge_model", "rules"], f"policy.{PRICE}.deep_model"),
        (f"{PRICE}.influence", ["price"], f"policy.{PRICE}.influence[0]"),
        (f"{PRICE}.deep_bands.0.low", 0.8, f"policy.{PRICE}.deep_bands[0].low"),
        (f"{PRICE}.deep_bands.0.high", 1.5, f"policy.{PRICE}.deep_bands[0].high"),
        (f"{PRICE}.interactive", "yes", f"policy.{PRICE}.interactive"),
        ("modes.full", None, "policy.modes.full"),
        ("modes.emergency.tiers", [], "policy.modes.emergency.tiers"),
        ("modes.panic", {"tiers": ["rules"]}, "policy.modes.panic"),
        ("freshness.rules.usable_days", 6, "policy.freshness.rules.usable_days"),
        ("freshness.rules", 6, "policy.freshness.rules"),
    ],
)
def test_a_bad_policy_is_refused_by_name(path: str, value: object, named: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_policy(policy_with(path, value))
    assert caught.value.path == named
    assert caught.value.remedy


def test_no_policy_can_let_a_model_touch_price_or_payment() -> None:
    for touched in ("price", "payment", "discount", "offers", "promotion"):
        with pytest.raises(DocumentError):
            read_policy(policy_with(f"{PRICE}.influence", [touched]))
