"""What the publisher's lint finds, and where."""

from typing import Any

import pytest

from cloud_sync.publisher.promotion_lint import WIDEST_SEARCH, Finding, lint_promotions
from terminal_client.core.promotion_model import read_promotions
from tests.rules.promotions.making import discounts, line, outcome_of, percent

ALL = {"all": True}
BEST_UNIT = {"group": "g", "resolve": "best_deal", "scope": "unit"}


def lint(*documents: Any, shelf: dict[str, int] | None = None) -> list[Finding]:
    return lint_promotions(read_promotions(list(documents)), shelf)


def codes(*documents: Any, shelf: dict[str, int] | None = None) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in lint(*documents, shelf=shelf)]


def bogo(items: Any, **more: Any) -> Any:
    return {"id": "P", "kind": "bogo", "items": items} | more


def spend(amount: int, reward: int, **more: Any) -> Any:
    earned = {"reward": {"amount_minor": reward}}
    return {"id": "T", "kind": "threshold", "items": ALL, "spend_minor": amount} | earned | more


def sets(*items: Any) -> Any:
    parts = [{"items": one} for one in items]
    return {"id": "S", "kind": "mix_and_match", "parts": parts, "reward": {"percent_bp": 10}}


def test_what_is_in_order_is_left_alone() -> None:
    fine = {"valid_from": "2026-11-01", "valid_through": "2026-11-30", "weekdays": [1, 7]}
    assert (
        lint(
            percent("A", "a") | {"windows": [fine, {"minutes": [[0, 60]]}], "max_applications": 3},
            percent("B", "b"),
            spend(5000, 500),
            sets({"items": ["x"]}, {"items": ["y"]}, {"departments": ["z"]}),
            bogo({"items": ["q"]}),
            shelf={"a": 100},
        )
        == []
    )


@pytest.mark.parametrize(
    "window",
    [
        {"valid_from": "2026-11-24", "valid_through": "2026-11-23"},
        {"minutes": [[600, 600], [1320, 120]]},
        {"valid_from": "2026-11-23", "valid_through": "2026-11-24", "weekdays": [6, 7]},
    ],
    ids=["reversed", "no-minute", "no-weekday"],
)
def test_a_window_that_never_opens_is_found(window: Any) -> None:
    document = percent("P") | {"windows": [{}, window]}
    assert codes(document) == [("WINDOW_UNREACHABLE", "promotions[0].windows[1]")]


def test_a_week_holds_every_weekday() -> None:
    week = {"valid_from": "2026-11-23", "valid_through": "2026-11-29", "weekdays": [7]}
    assert codes(percent("P") | {"windows": [week]}) == []
    assert codes(percent("P") | {"windows": [week | {"valid_through": "2030-01-01"}]}) == []


def test_a_cap_of_nothing_is_found() -> None:
    document = percent("P") | {"max_discount_minor": 0, "max_applications": 0}
    assert codes(document) == [
        ("CAP_ZERO", "promotions[0].max_discount_minor"),
        ("CAP_ZERO", "promotions[0].max_applications"),
    ]


@pytest.mark.parametrize(
    ("document", "key"),
    [
        (bogo({"items": []}), "items"),
        (bogo({"departments": []}), "items"),
        (bogo({"items": ["a"], "except": {"items": ["a"]}}), "items"),
        (sets({"items": ["a"]}, {"items": []}), "parts[1].items"),
        (spend(10, 1, reward_items={"items": []}), "reward_items"),
        (
            {
                "id": "P",
                "kind": "buy_get",
                "buy": {"items": {"items": ["a"]}},
                "get": {"items": {"items": []}},
                "reward": {"percent_bp": 1},
            },
            "get.items",
        ),
    ],
)
def test_a_selector_that_selects_nothing_is_found(document: Any, key: str) -> None:
    assert codes(document) == [("SELECTOR_EMPTY", f"promotions[0].{key}")]


def test_a_part_whose_items_an_earlier_part_takes_is_found() -> None:
    found = codes(sets({"items": ["a", "b"]}, {"items": ["b"]}))
    assert found == [("PART_UNREACHABLE", "promotions[0].parts[1].items")]
    narrowed = {"items": ["a", "b"], "departments": ["d"]}
    assert codes(sets(narrowed, {"items": ["b"]})) == []


def test_a_reward_of_nothing_is_found() -> None:
    assert codes(percent("P", basis_points=0)) == [("REWARD_ZERO", "promotions[0].percent_bp")]
    assert codes(spend(10, 0)) == [("REWARD_ZERO", "promotions[0].reward.amount_minor")]


def test_a_reward_above_what_is_spent_is_found() -> None:
    (finding,) = lint(spend(500, 5000))
    assert str(finding) == (
        "promotions[0].reward.amount_minor: REWARD_TOO_LARGE: gives 5000 for spending 500; "
        "lower it or raise spend_minor"
    )


def test_prices_are_compared_with_the_shelf_where_it_is_known() -> None:
    selector = {"items": ["a", "b", "unknown"]}
    shelf = {"a": 199, "b": 500}
    fixed = {"id": "P", "kind": "fixed_price", "items": selector, "price_minor": 199}
    off = {"id": "P", "kind": "amount", "items": selector, "amount_minor": 200}
    second = bogo(selector, reward={"price_minor": 300})
    whole = {"id": "P", "kind": "amount", "items": ALL, "amount_minor": 200}
    assert codes(fixed, shelf=shelf) == [("FIXED_PRICE_ABOVE_SHELF", "promotions[0].price_minor")]
    assert codes(off, shelf=shelf) == [("REWARD_TOO_LARGE", "promotions[0].amount_minor")]
    assert codes(second, shelf=shelf) == [
        ("FIXED_PRICE_ABOVE_SHELF", "promotions[0].reward.price_minor")
    ]
    assert codes(fixed | {"price_minor": 198}, shelf=shelf) == []
    assert codes(off | {"amount_minor": 199}, shelf=shelf) == []
    assert codes(whole, shelf=shelf) == codes(sets({"items": ["a"]}), shelf=shelf) == []


def test_an_id_that_comes_twice_is_found() -> None:
    (one,) = read_promotions([percent("P")])
    (other,) = read_promotions([percent("P", "b")])
    assert [(f.code, f.path) for f in lint_promotions([one, other], path="p")] == [
        ("ID_DUPLICATE", "p[1].id")
    ]


def test_a_group_of_one_is_found() -> None:
    document = percent("P") | {"exclusive": {"group": "g", "resolve": "priority"}}
    assert codes(document) == [("GROUP_OF_ONE", "promotions[0].exclusive")]


def test_a_group_too_wide_to_be_searched_is_found() -> None:
    documents = [percent(f"P{n}") | {"exclusive": BEST_UNIT} for n in range(WIDEST_SEARCH + 1)]
    assert {code for code, _ in codes(*documents)} == {"GROUP_TOO_WIDE"}
    assert codes(*documents[:-1]) == []


def test_a_group_that_is_not_too_wide_is_searched_to_its_end() -> None:
    kinds: list[Any] = [
        {"kind": "bogo"},
        {"kind": "percent", "percent_bp": 2500},
        {"kind": "bogo", "choice": "dearest", "reward": {"percent_bp": 5000}},
        {"kind": "fixed_price", "price_minor": 60},
    ]
    common = {"items": {"items": ["a"]}, "exclusive": BEST_UNIT, "max_applications": 2}
    documents = [kind | common | {"id": f"P{n}"} for n, kind in enumerate(kinds)]
    assert len(documents) == WIDEST_SEARCH
    outcome = outcome_of(documents, *[line(n, "a", 190 + n, 2000) for n in range(1, 11)])
    assert (outcome.reasons, len(discounts(outcome))) == ((), 4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"items": ["a", "b"]}, {"items": ["b", "c"]}),
        (ALL, {"items": ["a"]}),
        ({"items": ["a"]}, ALL | {"except": {"items": ["b"]}}),
        (ALL, ALL),
        ({"departments": ["d", "e"]}, {"departments": ["e"]}),
        ({"attributes": {"brand": "x"}}, {"attributes": {"brand": "x"}}),
    ],
)
def test_two_that_want_the_same_units_without_a_group_are_found(one: Any, other: Any) -> None:
    (finding,) = lint(bogo(one, priority=2), bogo(other, id="Q", priority=1))
    assert (finding.code, finding.path) == ("OVERLAP_WITHOUT_GROUP", "promotions[1]")
    assert "Q comes before P" in finding.problem


@pytest.mark.parametrize(
    ("one", "other", "more"),
    [
        ({"items": ["a"]}, {"items": ["b"]}, {}),
        ({"items": ["a"]}, {"departments": ["d"]}, {}),
        ({"departments": ["d"]}, {"departments": ["e"]}, {}),
        (ALL, {"departments": ["d"]}, {}),
        ({"items": ["a"]}, {"items": ["a"], "departments": ["d"]}, {}),
        ({"items": ["a"]}, ALL | {"except": {"items": ["a"]}}, {}),
        (ALL, {"attributes": {"brand": "x"}}, {}),
        (ALL, ALL, {"stackable": True}),
        (ALL, ALL, {"phase": "basket"}),
    ],
)
def test_two_that_may_never_meet_are_left_alone(one: Any, other: Any, more: Any) -> None:
    assert codes(bogo(one), bogo(other, id="Q", **more)) == []


def test_the_members_of_one_group_may_want_the_same_units() -> None:
    group = {"exclusive": {"group": "g", "resolve": "best_deal"}}
    assert codes(bogo(ALL, **group), bogo(ALL, id="Q", **group)) == []
    other = {"exclusive": {"group": "h", "resolve": "best_deal"}}
    found = [code for code, _ in codes(bogo(ALL, **group), bogo(ALL, id="Q", **other))]
    assert found == ["GROUP_OF_ONE", "GROUP_OF_ONE", "OVERLAP_WITHOUT_GROUP"]
