"""What authors write becomes one loadable bundle, or an error that helps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cloud_sync.publisher.rules_bundle import RulesBundleBuilder, RulesSource
from cloud_sync.publisher.rules_source import RulesSourceError
from terminal_client.core.basket import Basket, LineItem
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.reading import DocumentError
from terminal_client.core.redemptions import RedemptionView
from tests.core.policies import POLICY
from tests.rules.tier.documents import AS_OF, RULES

TEN_PERCENT = {"id": "P", "kind": "percent", "items": {"items": ["a"]}, "percent_bp": 1000}
SOURCE = RulesSource(
    name="rules",
    version="1.0.0",
    as_of=AS_OF,
    store_id="367",
    time_zone="America/New_York",
    policy=POLICY,
    rules=RULES,
    promotions=[{**TEN_PERCENT, "eligible": "context.line_count >= 2"}],
)
BUILDER = RulesBundleBuilder()


def discounts(line_count: int) -> list[int]:
    built = BUILDER.build(SOURCE)
    bundle = FallbackBundle.load(built.raw, built.digest)
    lines = tuple(
        LineItem(line_number=number, item_id="a", extended_minor=500)
        for number in range(1, line_count + 1)
    )
    (result,) = bundle.decide(
        Basket(lines=lines),
        ["promotion_validation"],
        datetime(2017, 11, 28, tzinfo=UTC),
        RedemptionView(),
    )
    return [offer.discount_minor for offer in result.offers]


def test_a_promotions_condition_is_written_in_cel() -> None:
    assert discounts(2) == [100]
    assert discounts(1) == []


def test_the_same_source_gives_the_same_bytes() -> None:
    assert BUILDER.build(SOURCE) == RulesBundleBuilder().build(SOURCE)


def test_the_lint_speaks_up() -> None:
    twice = [{**TEN_PERCENT, "stackable": False}, {**TEN_PERCENT, "id": "Q", "stackable": False}]
    assert BUILDER.build(replace(SOURCE, promotions=twice)).findings


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"promotions": [{**TEN_PERCENT, "eligible": "basket.nothing"}]}, "nothing"),
        ({"promotions": [{**TEN_PERCENT, "eligible": "1.5 > 0.5"}]}, "P"),
        ({"rules": [{**RULES[0], "when": "basket.lines.size() >"}]}, "negative-total"),
    ],
    ids=["no such field", "a float", "a syntax error"],
)
def test_a_condition_that_cannot_be_compiled_names_its_owner(
    change: dict[str, object], named: str
) -> None:
    with pytest.raises(RulesSourceError, match=named):
        BUILDER.build(replace(SOURCE, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"policy": {}}, "policy.modes"),
        ({"promotions": {}}, "promotions"),
        ({"promotions": [7]}, "promotions[0]"),
        ({"tables": {"price": 7}}, "tables.price"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_register_would_refuse_is_refused_first(
    change: dict[str, object], path: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        BUILDER.build(replace(SOURCE, **change))  # type: ignore[arg-type]
    assert caught.value.path == path
