"""Reading promotions: what is refused, and with which words."""

from typing import Any

import pytest

from terminal_client.core.basket import Basket
from terminal_client.core.money import Price
from terminal_client.core.promotion_eligibility import EligibilityError
from terminal_client.core.promotion_model import Phase, Resolve, Scope, read_promotions
from terminal_client.core.promotion_offers import BuyGet, Choice, LineOffer, Threshold
from terminal_client.core.promotion_terms import Exclusion, RewardKind, Selector, Window
from terminal_client.core.reading import DocumentError
from terminal_client.core.rule_input import RuleInput
from tests.rules.promotions.making import discounts, evaluate, line, outcome_of, percent

ALL = {"all": True}
SETS = {"id": "P", "kind": "mix_and_match", "reward": {"percent_bp": 1}}
GROUP = {"group": "g", "resolve": "best_deal"}


def test_a_whole_promotion_reads_as_written() -> None:
    (promotion,) = read_promotions(
        [
            {
                "id": "P",
                "name": "For people",
                "cel": "true",
                "kind": "fixed_price",
                "items": {
                    "all": True,
                    "except": {"items": ["x"], "attributes": {"b": 1, "a": "s"}},
                },
                "price_minor": 500,
                "unit_price_scale": 1,
                "price_quantity_milli": 3000,
                "phase": "basket",
                "priority": 5,
                "stackable": True,
                "exclusive": {"group": "g", "resolve": "priority"},
                "max_discount_minor": 900,
                "max_applications": 2,
                "segments": ["vip"],
                "windows": [{"valid_from": "2026-11-01", "minutes": [[0, 60]], "weekdays": [7]}],
                "eligible": True,
            }
        ]
    )
    assert isinstance(promotion.offer, LineOffer)
    assert promotion.offer.reward.kind is RewardKind.PRICE
    assert promotion.offer.reward.price == Price(500, 1, 3000)
    assert promotion.offer.items == Selector(
        exclusion=Exclusion(items=frozenset({"x"}), attributes=(("a", "s"), ("b", 1)))
    )
    assert (promotion.offer_id, promotion.kind) == ("P", "fixed_price")
    assert promotion.phase is Phase.BASKET
    assert promotion.order == (5, True, "P")
    assert (promotion.max_discount_minor, promotion.max_applications) == (900, 2)
    assert promotion.segments == {"vip"}
    assert promotion.windows == (
        Window(valid_from=20261101, minutes=((0, 60),), weekdays=frozenset({7})),
    )
    exclusive = promotion.exclusive
    assert exclusive is not None
    assert (exclusive.group, exclusive.resolve, exclusive.scope) == (
        "g",
        Resolve.PRIORITY,
        Scope.BASKET,
    )


def test_what_is_left_out_has_its_default() -> None:
    bogo, spend = read_promotions(
        [
            {"id": "B", "kind": "bogo", "items": ALL},
            {
                "id": "T",
                "kind": "threshold",
                "items": ALL,
                "spend_minor": 1,
                "reward": {"amount_minor": 1},
            },
        ]
    )
    assert isinstance(bogo.offer, BuyGet)
    assert bogo.offer.buy is bogo.offer.get
    assert bogo.offer.choice is Choice.CHEAPEST
    assert (bogo.phase, bogo.priority, bogo.stackable) == (Phase.LINE, 1000, False)
    assert (bogo.max_applications, bogo.max_discount_minor) == (None, None)
    assert isinstance(spend.offer, Threshold)
    assert spend.offer.reward_items is spend.offer.items
    assert (spend.phase, spend.max_applications) == (Phase.BASKET, 1)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, r"p\[0\]\.kind: is missing; add it"),
        (percent("P") | {"kind": "gift"}, r"p\[0\]\.kind: is 'gift'; write one of amount, bogo"),
        (percent(""), r"p\[0\]\.id: is empty; name the promotion"),
        (percent("P") | {"prise": 1}, r"p\[0\]\.prise: is not a known key; remove it"),
        (percent("P", basis_points=10_001), r"percent_bp: is 10001; write an integer in \[0, 1"),
        (percent("P") | {"percent_bp": 9.5}, r"percent_bp: is 9\.5; write an integer"),
        (percent("P") | {"phase": "later"}, r"phase: is 'later'; write one of basket, line"),
        (percent("P") | {"items": {}}, r"items: does not say which items; write items, dep"),
        (percent("P") | {"items": ALL | {"items": ["a"]}}, r"items: does not say which items"),
        (percent("P") | {"items": {"items": "a"}}, r"items\.items: is not a list"),
        (percent("P") | {"items": {"attributes": {"a": 0.5}}}, r"attributes\.a: is 0\.5; write"),
        (percent("P") | {"items": ALL | {"except": {"item": []}}}, r"except\.item: is not a known"),
        (percent("P") | {"windows": [{"weekdays": [8]}]}, r"weekdays\[0\]\.weekday: is 8"),
        (percent("P") | {"windows": [{"minutes": [[1]]}]}, r"minutes\[0\]: is no pair"),
        (percent("P") | {"windows": [{"minutes": [[0, 1441]]}]}, r"minutes\[0\]\.end: is 1441"),
        (percent("P") | {"windows": [{"valid_from": "20261123"}]}, r"is '20261123'; write a day"),
        (percent("P") | {"windows": [{"valid_from": "2026-02-30"}]}, r"valid_from: is '2026-02-30"),
        (percent("P") | {"exclusive": {"group": "g"}}, r"exclusive\.resolve: is missing"),
        (
            percent("P") | {"exclusive": GROUP | {"scope": "unit"}, "stackable": True},
            r"p\[0\]\.stackable: contradicts a group whose members share no unit",
        ),
        (percent("P") | {"eligible": ["no_such"]}, r"eligible: UNKNOWN_OPERATION"),
        (percent("P") | {"eligible": ["add", 1, ["list"]]}, r"eligible.*: BAD_TYPE"),
        (percent("P") | {"eligible": 1}, r"eligible: is int; write a condition: a bool"),
        (SETS | {"parts": []}, r"parts: holds 0 parts; write 1 to 8"),
        (SETS | {"parts": [{"items": ALL, "quantity_milli": 0}]}, r"quantity_milli: is 0; write"),
        (
            {"id": "P", "kind": "bogo", "items": ALL, "reward": {}},
            r"reward: holds 0 rewards; write one of percent_bp, amount_minor, price_minor",
        ),
        (
            {
                "id": "P",
                "kind": "threshold",
                "items": ALL,
                "spend_minor": 1,
                "reward": {"price_minor": 1},
            },
            r"reward: is a price; write percent_bp or amount_minor",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_key_and_remedy(document: Any, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read_promotions([document], "p")


def test_promotions_are_a_list() -> None:
    with pytest.raises(DocumentError, match=r"^promotions: is not a list"):
        read_promotions({})


def test_an_id_comes_once() -> None:
    with pytest.raises(DocumentError, match=r"\[1\]\.id: P comes twice; rename one"):
        read_promotions([percent("P"), percent("P")])


@pytest.mark.parametrize(
    "other",
    [
        {"exclusive": GROUP | {"resolve": "priority"}},
        {"exclusive": GROUP | {"scope": "unit"}},
        {"exclusive": GROUP, "phase": "basket"},
    ],
)
def test_the_members_of_a_group_agree(other: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match=r"\[2\]\.exclusive: differs from another member of g"):
        read_promotions([percent("P") | {"exclusive": GROUP}, percent("Q"), percent("R") | other])


def test_a_condition_of_the_callers_own_decides() -> None:
    asked = []

    def load(source: object, path: str) -> Any:
        def eligible(rule_input: RuleInput) -> bool:
            asked.append((source, path, rule_input.context.weekday))
            if source == "broken":
                raise EligibilityError("OVERFLOW")
            return source == "yes"

        return eligible

    documents = [
        percent("Y") | {"eligible": "yes"},
        percent("N", "b") | {"eligible": "no"},
        percent("E", "c") | {"eligible": "broken"},
    ]
    promotions = read_promotions(documents, "p", load)

    basket = Basket(lines=(line(1), line(2, "b"), line(3, "c")))
    outcome, _ = evaluate(promotions, basket)
    assert discounts(outcome) == {"Y": 10}
    assert [(r.code, r.rule_id, r.detail) for r in outcome.reasons] == [
        ("PROMOTION_ELIGIBILITY_ERROR", "E", "OVERFLOW")
    ]
    assert sorted(asked) == [
        ("broken", "p[2].eligible", 1),
        ("no", "p[1].eligible", 1),
        ("yes", "p[0].eligible", 1),
    ]


def test_a_condition_without_a_value_says_why() -> None:
    key = ["index", ["field", ["var", "context"], "artifact_age_days"], "absent"]
    outcome = outcome_of([percent("P") | {"eligible": ["eq", key, 0]}], line(1))
    assert discounts(outcome) == {}
    assert [reason.detail for reason in outcome.reasons] == ["NO_SUCH_KEY"]


def test_errors_are_named_for_the_first_promotions_only() -> None:
    key = ["index", ["field", ["var", "context"], "artifact_age_days"], "absent"]
    documents = [percent(f"P{n:02}") | {"eligible": ["eq", key, 0]} for n in range(40)]
    assert len(outcome_of(documents, line(1)).reasons) == 16
