"""Hand-reasoned cases: AI 8112 coupons, which only an on-line check could verify."""

from __future__ import annotations

from tests.rules.coupons.vector_notation import (
    COMPANY,
    MILK,
    SOUP,
    Json,
    case,
    coupon,
    key,
    line,
    positive,
    refuses,
    takes,
    unverified,
)

CODE = f"{COMPANY}123456"
OTHER_CODE = f"{COMPANY}999999"


def offer(code: str, value: Json, item: str = SOUP) -> Json:
    return {
        "symbology": "gs1_8112",
        "coupon_code": code,
        "campaign_id": "brands",
        "item_ids": [item],
        "value": value,
        "funder": "maker",
    }


DOCUMENT: Json = {
    "campaigns": [
        {"campaign_id": "brands", "first_date": 20260101, "last_date": 20261231, "open": True}
    ],
    "store_coupons": [
        offer(CODE, {"kind": "amount", "amount_minor": 50}),
        offer(OTHER_CODE, {"kind": "free_item"}, MILK),
    ],
    "doubling": {"offer_id": "coupon_match", "full_up_to_minor": 50, "up_to_total_minor": 100},
    "unverified": {
        "max_value_minor": 300,
        "max_basket_value_minor": 400,
        "max_basket_count": 3,
        "max_view_age_s": 3600,
    },
}
UNLIMITED = {name: value for name, value in DOCUMENT.items() if name != "unverified"}
STRICT: Json = {
    **DOCUMENT,
    "unverified": {**DOCUMENT["unverified"], "max_value_minor": 49},
}
ONE: Json = {**DOCUMENT, "unverified": {**DOCUMENT["unverified"], "max_basket_count": 1}}
SMALL: Json = {
    **DOCUMENT,
    "unverified": {**DOCUMENT["unverified"], "max_basket_value_minor": 100},
}

SOUP_300 = [line(1, SOUP, 300)]
SOUPS = [line(1, SOUP, 1200, 4)]
SERIALS = ("12345671", "12345672", "12345673", "12345674")
OFFER = f"brands:{CODE}"
LIMIT = "COUPON_LIMIT_REACHED"


def a(data: str) -> list[Json]:
    return [coupon("a", data, "GS1_8112")]


def several(count: int) -> list[Json]:
    return [
        coupon(f"c{number}", positive(serial), "GS1_8112")
        for number, serial in enumerate(SERIALS[:count])
    ]


CASES = [
    case("taken unverified, not matched", DOCUMENT, SOUP_300, a(positive()),
         [unverified("a", {1: 50})]),
    case("with its AI", DOCUMENT, SOUP_300, a("8112" + positive()), [unverified("a", {1: 50})]),
    case("no household is needed", DOCUMENT, SOUP_300, a(positive()), [unverified("a", {1: 50})],
         household=""),
    case("a view as old as may be", DOCUMENT, SOUP_300, a(positive()),
         [unverified("a", {1: 50})], view_age_s=3600),
    case("a view a second too old", DOCUMENT, SOUP_300, a(positive()),
         [refuses("a", OFFER, LIMIT)], view_age_s=3601),
    case("a view that was never synced", DOCUMENT, SOUP_300, a(positive()),
         [refuses("a", OFFER, LIMIT)], view_age_s=None),
    case("a view from the future is fresh", DOCUMENT, SOUP_300, a(positive()),
         [unverified("a", {1: 50})], view_age_s=-60),
    case("used before in this store", DOCUMENT, SOUP_300, a(positive()),
         [refuses("a", OFFER, "COUPON_ALREADY_REDEEMED", "ALREADY_REDEEMED")],
         redeemed=(key("8112", COMPANY, "123456", "12345678"),)),
    case("used before, by a view too old: still used", DOCUMENT, SOUP_300, a(positive()),
         [refuses("a", OFFER, "COUPON_ALREADY_REDEEMED", "ALREADY_REDEEMED")],
         redeemed=(key("8112", COMPANY, "123456", "12345678"),), view_age_s=99_999),
    case("the same serial twice", DOCUMENT, SOUPS,
         [*a(positive()), coupon("b", "(8112)" + positive(), "GS1_8112")],
         [unverified("a", {1: 50}),
          refuses("b", OFFER, "COUPON_ALREADY_REDEEMED", "ALREADY_REDEEMED")]),
    case("three may be taken, not four", DOCUMENT, SOUPS, several(4),
         [*(unverified(f"c{n}", {1: 50}, SERIALS[n]) for n in range(3)),
          refuses("c3", OFFER, LIMIT)]),
    case("one may be taken, not two", ONE, SOUPS, several(2),
         [unverified("c0", {1: 50}, SERIALS[0]), refuses("c1", OFFER, LIMIT)]),
    case("worth a cent too much for one coupon", STRICT, SOUP_300, a(positive()),
         [refuses("a", OFFER, LIMIT)]),
    case("what it takes counts, not its face", STRICT, [line(1, SOUP, 49)], a(positive()),
         [unverified("a", {1: 49})]),
    case("a basket's worth exactly, then no more", SMALL, SOUPS, several(3),
         [unverified("c0", {1: 50}, SERIALS[0]), unverified("c1", {1: 50}, SERIALS[1]),
          refuses("c2", OFFER, LIMIT)]),
    case("a free item up to the value of one coupon", DOCUMENT, [line(1, MILK, 300)],
         a(positive(offer="999999")),
         [takes("a", f"brands:{OTHER_CODE}", {1: 300}, key("8112", COMPANY, "999999", "12345678"),
                "ACCEPTED_UNVERIFIED", "COUPON_UNVERIFIED_OFFLINE")]),
    case("a free item above it", DOCUMENT, [line(1, MILK, 301)], a(positive(offer="999999")),
         [refuses("a", f"brands:{OTHER_CODE}", LIMIT)]),
    case("a refused one leaves its item to the next", STRICT, [line(1, SOUP, 49)],
         [*several(1), coupon("d", positive(), "GS1_8112")],
         [unverified("c0", {1: 49}, SERIALS[0]),
          refuses("d", OFFER, "COUPON_QUANTITY_NOT_MET")]),
    case("no limits, nothing unverified", UNLIMITED, SOUP_300, a(positive()),
         [refuses("a", OFFER, LIMIT)]),
    case("the item speaks before the limits", UNLIMITED, [line(1, MILK, 300)], a(positive()),
         [refuses("a", OFFER, "COUPON_NO_QUALIFYING_ITEM")]),
    case("an offer that is over", DOCUMENT, SOUP_300, a(positive()),
         [refuses("a", OFFER, "COUPON_EXPIRED", "EXPIRED")], time="2027-01-01T00:00:00-05:00"),
    case("an offer nobody knows", DOCUMENT, SOUP_300, a(positive(offer="111111")),
         [refuses("a", "", "COUPON_UNKNOWN")]),
    case("unreadable", DOCUMENT, SOUP_300, a(positive()[:-1]),
         [refuses("a", "", "COUPON_MALFORMED", "UNREADABLE")]),
]  # fmt: skip
