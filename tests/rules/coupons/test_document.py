"""Reading the ``coupons`` document: it means what was written, or says what to write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_client.core.basket import CouponSymbology
from terminal_client.core.coupon_terms import Funder, Value, ValueKind
from terminal_client.core.coupons import CouponBook, StoreCoupon, read_coupons
from terminal_client.core.item_sets import ItemSets, read_items, write_steps
from terminal_client.core.reading import DocumentError

CAMPAIGN = {"campaign_id": "c1", "first_date": 20260301, "last_date": 20260331, "open": True}
COUPON = {
    "coupon_code": "100",
    "campaign_id": "c1",
    "item_ids": ["milk"],
    "value": {"kind": "amount", "amount_minor": 75},
}
CODES = {"33": {"value": {"kind": "amount", "amount_minor": 100}, "min_quantity": 2}}
GS1 = {"families": {"0614141": {"120": ["00614141000012"]}}}


def document(**changes: Any) -> dict[str, Any]:
    return {"campaigns": [CAMPAIGN], "store_coupons": [COUPON], "value_codes": CODES, **changes}


def campaign(**changes: Any) -> dict[str, Any]:
    merged = {**CAMPAIGN, **changes}
    return document(campaigns=[{key: value for key, value in merged.items() if value is not None}])


def coupon(**changes: Any) -> dict[str, Any]:
    return document(store_coupons=[{**COUPON, **changes}])


def only(book: CouponBook) -> StoreCoupon:
    (found,) = book.known_as(CouponSymbology.STORE, "100")
    return found


def test_an_empty_document_knows_no_coupon() -> None:
    assert read_coupons({}) == CouponBook()


def test_a_coupon_is_found_by_its_code_and_by_its_offer() -> None:
    book = read_coupons(document())
    assert only(book).offer_id == "c1:100"
    assert book.known_as(CouponSymbology.STORE, "c1:100") == (only(book),)
    assert book.known_as(CouponSymbology.GS1_255_GCN, "100") == ()
    assert book.offer_ids == {"c1:100", "gs1_8110"}


def test_the_match_is_an_offer_of_the_book() -> None:
    doubling = {"offer_id": "match", "full_up_to_minor": 50, "up_to_total_minor": 100}
    assert read_coupons({"doubling": doubling}).offer_ids == {"match", "gs1_8110"}


def test_a_value_code_brings_face_quantity_and_funder() -> None:
    terms = only(read_coupons(coupon(value={"kind": "value_code", "code": "33"}))).terms
    assert terms.value == Value(kind=ValueKind.AMOUNT, amount_minor=100)
    assert terms.requirements[0].amount == 2
    assert (terms.funder, terms.multipliable) == (Funder.MAKER, True)


def test_a_coupon_may_ask_for_more_than_its_value_code() -> None:
    book = read_coupons(coupon(value={"kind": "value_code", "code": "33"}, min_quantity=5))
    assert only(book).terms.requirements[0].amount == 5


@pytest.mark.parametrize(
    ("content", "path", "remedy"),
    [
        pytest.param([], "coupons", "write {...}", id="no-object"),
        pytest.param(document(typo=1), "coupons.typo", "remove it", id="unknown-key"),
        pytest.param(
            document(campaigns=[CAMPAIGN, CAMPAIGN]),
            "coupons.campaigns[1].campaign_id", "rename one", id="campaign-twice",
        ),
        pytest.param(
            campaign(open=None), "coupons.campaigns[0].households", "exactly one", id="for-nobody"
        ),
        pytest.param(
            campaign(households=["hh"]),
            "coupons.campaigns[0].households", "exactly one", id="open-and-targeted",
        ),
        pytest.param(
            campaign(first_date=20260230),
            "coupons.campaigns[0].first_date", "yyyymmdd", id="no-such-day",
        ),
        pytest.param(
            campaign(first_date=20260401), "coupons.campaigns[0].last_date", "swap", id="reversed"
        ),
        pytest.param(
            campaign(campaign_id="a:b"), "coupons.campaigns[0].campaign_id", "':'", id="colon"
        ),
        pytest.param(
            campaign(campaign_id=""), "coupons.campaigns[0].campaign_id", "1 to 48", id="nameless"
        ),
        pytest.param(
            coupon(campaign_id="c2"),
            "coupons.store_coupons[0].campaign_id", "name one", id="unknown-campaign",
        ),
        pytest.param(
            document(store_coupons=[COUPON, COUPON]),
            "coupons.store_coupons[1]", "once", id="coupon-twice",
        ),
        pytest.param(
            coupon(item_ids=[]), "coupons.store_coupons[0].item_ids", "at least one", id="no-items"
        ),
        pytest.param(
            coupon(symbology="qr"), "coupons.store_coupons[0].symbology", "gcn", id="symbology"
        ),
        pytest.param(
            coupon(min_quantity=0), "coupons.store_coupons[0].min_quantity", "[1,", id="quantity"
        ),
        pytest.param(
            coupon(value={"kind": "points"}),
            "coupons.store_coupons[0].value.kind", "free_item", id="kind",
        ),
        pytest.param(
            coupon(value={"kind": "amount", "amount_minor": 0}),
            "coupons.store_coupons[0].value.amount_minor", "[1,", id="amount-0",
        ),
        pytest.param(
            coupon(value={"kind": "percent", "percent_bp": 10_001}),
            "coupons.store_coupons[0].value.percent_bp", "10000]", id="percent",
        ),
        pytest.param(
            coupon(value={"kind": "none", "amount_minor": 1}),
            "coupons.store_coupons[0].value.amount_minor", "remove", id="none-has-no-amount",
        ),
        pytest.param(
            coupon(value={"kind": "value_code", "code": "99"}),
            "coupons.store_coupons[0].value.code", "add it to value_codes", id="value-code",
        ),
        pytest.param(
            coupon(multiply=True),
            "coupons.store_coupons[0].multiply", "a maker's", id="a-store-coupon-multiplied",
        ),
        pytest.param(
            document(gs1={"families": {"12345": {}}}),
            "coupons.gs1.families.12345", "6 to 12", id="prefix",
        ),
        pytest.param(
            document(gs1={"families": {"0614141": {"12": []}}}),
            "coupons.gs1.families.0614141.12", "three digits", id="family",
        ),
        pytest.param(
            document(items=["b", "a"]), "coupons.items", "sort it", id="items-unsorted"
        ),
        pytest.param(document(items="a"), "coupons.items", "[...]", id="items-no-list"),
        pytest.param(document(items=[""]), "coupons.items", "1 to 64", id="items-empty-name"),
        pytest.param(
            coupon(item_ids="milk"), "coupons.store_coupons[0].item_ids", "steps", id="no-set"
        ),
        pytest.param(
            coupon(item_ids={"steps": [0]}),
            "coupons.store_coupons[0].item_ids", "below 0", id="steps-without-items",
        ),
        pytest.param(
            document(items=["a", "b"], store_coupons=[{**COUPON, "item_ids": {"steps": [1, 0]}}]),
            "coupons.store_coupons[0].item_ids", "above zero", id="step-of-zero",
        ),
        pytest.param(
            document(items=["a", "b"], store_coupons=[{**COUPON, "item_ids": {"steps": [1, 1]}}]),
            "coupons.store_coupons[0].item_ids", "below 2", id="steps-too-far",
        ),
        pytest.param(
            document(unverified={"max_value_minor": 1}),
            "coupons.unverified.max_basket_value_minor", "add it", id="limits-incomplete",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(content: object, path: str, remedy: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_coupons(content)
    assert caught.value.path == path
    assert remedy in caught.value.remedy


def test_families_are_read() -> None:
    book = read_coupons({"gs1": {**GS1, "company_match": True, "retailer_ids": ["0099999"]}})
    assert book.gs1.items("0614141", "120").item_ids == {"00614141000012"}
    # The families are known, so only family 000 is the whole company.
    assert book.gs1.items("0614141", "120").companies == ()
    assert book.gs1.items("0614141", "000").companies == ("0614141",)


def test_the_documented_example_is_one() -> None:
    text = (Path(__file__).parents[3] / "docs" / "coupons.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    book = read_coupons(json.loads(example))
    assert book.offer_ids == {"18:10000089073", "paper:51600013033", "coupon_match", "gs1_8110"}
    (paper,) = book.known_as(CouponSymbology.STORE, "51600013033")
    assert paper.terms.requirements[0].items.item_ids == {"1029743", "1082185"}


names = st.sets(st.text("abc", min_size=1, max_size=4), max_size=20)


@given(names, names)
def test_steps_are_read_as_written(first: set[str], second: set[str]) -> None:
    items = sorted(first | second)
    positions = {item: index for index, item in enumerate(items)}
    for chosen in (first, second, set[str]()):
        steps = write_steps(positions, chosen)
        assert read_items(items, "items").read(steps, "set") == chosen
        assert ItemSets().read(sorted(chosen), "set") == chosen
    with pytest.raises(KeyError):
        write_steps(positions, {"elsewhere"})
