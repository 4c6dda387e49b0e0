"""Hand-reasoned cases: AI 8110 coupons, which describe themselves, and global coupon numbers."""

from __future__ import annotations

from tests.rules.coupons.vector_notation import (
    COFFEE,
    COMPANY,
    FOREIGN,
    LOOSE_TEA,
    MILK,
    TEA,
    TEA_LARGE,
    Json,
    case,
    coupon,
    key,
    line,
    matches,
    nacc,
    refuses,
    second,
    takes,
    third,
)

GCN = "4012345000092"
DOCUMENT: Json = {
    "campaigns": [
        {"campaign_id": "clip", "first_date": 20260301, "last_date": 20260331, "open": True}
    ],
    "store_coupons": [
        {
            "symbology": "gcn",
            "coupon_code": GCN,
            "campaign_id": "clip",
            "item_ids": [MILK],
            "value": {"kind": "amount", "amount_minor": 40},
        }
    ],
    "gs1": {
        "families": {
            COMPANY: {
                "120": [TEA],
                "125": [TEA_LARGE],
                "130": [LOOSE_TEA],
                "850": [COFFEE],
            }
        },
        "retailer_ids": ["0099999"],
    },
    "doubling": {"offer_id": "coupon_match", "full_up_to_minor": 50, "up_to_total_minor": 100},
}
BY_COMPANY: Json = {"gs1": {"company_match": True}}

NO_ITEM = "COUPON_NO_QUALIFYING_ITEM"
TOO_FEW = "COUPON_QUANTITY_NOT_MET"
TEA_499 = [line(1, TEA, 499)]


def a(data: str) -> list[Json]:
    return [coupon("a", data, "GS1_8110")]


def off(allocations: dict[int, int], redemption: str = "") -> list[Json]:
    return [takes("a", "gs1_8110", allocations, redemption)]


def no(reason: str, status: str = "NOT_ELIGIBLE") -> list[Json]:
    return [refuses("a", "gs1_8110", reason, status)]


ONE_PURCHASE = [
    case("2.50 off one item", DOCUMENT, TEA_499, a(nacc()), off({1: 250})),
    case("with its AI", DOCUMENT, TEA_499, a("(8110)" + nacc()), off({1: 250})),
    case("no household is needed", DOCUMENT, TEA_499, a(nacc()), off({1: 250}), household=""),
    case(
        "0.50 off is matched",
        DOCUMENT, TEA_499, a(nacc("50")), [*off({1: 50}), matches("a", {1: 50})],
    ),
    case(
        "0.75 off is matched up to a dollar",
        DOCUMENT, TEA_499, a(nacc("75")), [*off({1: 75}), matches("a", {1: 25})],
    ),
    case(
        "the don't multiply flag is kept",
        DOCUMENT, TEA_499, a(nacc("50", more="90001")), off({1: 50}),
    ),
    case(
        "a store coupon is not matched",
        DOCUMENT, TEA_499, a(nacc("50", more="90010")), off({1: 50}),
    ),
    case("another family", DOCUMENT, [line(1, COFFEE, 499)], a(nacc()), no(NO_ITEM)),
    case(
        "family 120 stands for 120 to 129",
        DOCUMENT, [line(1, TEA_LARGE, 899)], a(nacc()), off({1: 250}),
    ),
    case(
        "family 125 does not stand for 120",
        DOCUMENT, TEA_499, a(nacc(family="125")), no(NO_ITEM),
    ),
    case(
        "family 100 stands for 100 to 199",
        DOCUMENT, [line(1, LOOSE_TEA, 499)], a(nacc(family="100")), off({1: 250}),
    ),
    case(
        "family 000 stands for all the company's families",
        DOCUMENT, [line(1, COFFEE, 499)], a(nacc(family="000")), off({1: 250}),
    ),
    case(
        "a company nobody told us of",
        DOCUMENT, [line(1, FOREIGN, 499)], a(nacc(company="9900000")), no(NO_ITEM),
    ),
    case(
        "unless items are taken by company prefix",
        BY_COMPANY, [line(1, FOREIGN, 499)], a(nacc(company="9900000")), off({1: 250}),
    ),
    case(
        "a prefix of six digits is a U.P.C. company prefix",
        BY_COMPANY, TEA_499, a(nacc(company="614141")), off({1: 250}),
    ),
    case(
        "by prefix, another company's item",
        BY_COMPANY, TEA_499, a(nacc(company="0614142")), no(NO_ITEM),
    ),
    case(
        "by prefix, an item that is no GTIN",
        BY_COMPANY, [line(1, "0614141", 499)], a(nacc()), no(NO_ITEM),
    ),
    case(
        "two coupons, one item",
        DOCUMENT, TEA_499, [*a(nacc()), coupon("b", nacc(), "GS1_8110")],
        [*off({1: 250}), refuses("b", "gs1_8110", TOO_FEW)],
    ),
    case(
        "two coupons, two items",
        DOCUMENT, [line(1, TEA, 998, 2)], [*a(nacc()), coupon("b", nacc(), "GS1_8110")],
        [*off({1: 250}), takes("b", "gs1_8110", {1: 250})],
    ),
]  # fmt: skip

DATES_AND_IDENTITY = [
    case(
        "the last day",
        DOCUMENT, TEA_499, a(nacc(more="3260331")), off({1: 250}),
        time="2026-03-31T23:59:59-04:00",
    ),
    case(
        "the day after",
        DOCUMENT, TEA_499, a(nacc(more="3260331")), no("COUPON_EXPIRED", "EXPIRED"),
        time="2026-04-01T00:00:00-04:00",
    ),
    case(
        "the first day",
        DOCUMENT, TEA_499, a(nacc(more="4260315")), off({1: 250}),
        time="2026-03-15T00:00:00-04:00",
    ),
    case(
        "the day before",
        DOCUMENT, TEA_499, a(nacc(more="4260315")), no("COUPON_NOT_STARTED", "EXPIRED"),
        time="2026-03-14T23:59:59-04:00",
    ),
    case(
        "a serial is used once",
        DOCUMENT, TEA_499, a(nacc(more="50123456")),
        off({1: 250}, key("8110", COMPANY, "654321", "123456")),
    ),
    case(
        "a serial that was used",
        DOCUMENT, TEA_499, a(nacc(more="50123456")),
        no("COUPON_ALREADY_REDEEMED", "ALREADY_REDEEMED"),
        redeemed=(key("8110", COMPANY, "654321", "123456"),),
    ),
    case(
        "for this retailer",
        DOCUMENT, TEA_499, a(nacc(more="610099999")), off({1: 250}),
    ),
    case(
        "for another retailer",
        DOCUMENT, TEA_499, a(nacc(more="610088888")), no("COUPON_OTHER_RETAILER"),
    ),
    case(
        "a person must look",
        DOCUMENT, TEA_499, a(nacc(code="9")), no("COUPON_NEEDS_ATTENDANT"),
    ),
    case(
        "unreadable",
        DOCUMENT, TEA_499, a(nacc()[:-1]), no("COUPON_MALFORMED", "UNREADABLE"),
    ),
    case(
        "letters",
        DOCUMENT, TEA_499, a("TEA"), no("COUPON_MALFORMED", "UNREADABLE"),
    ),
]  # fmt: skip

BOTH = nacc("100", more=second("1", "1", "850") + "90100")
EITHER = nacc("100", more=second("0", "3", "850"))
MIXED = nacc("100", need="3", more=second("3", "1", "850"))
SEVERAL_PURCHASES = [
    case(
        "both must be bought; the second gets it, and no more than it costs",
        DOCUMENT, [line(1, TEA, 300), line(2, COFFEE, 80)], a(BOTH), off({2: 80}),
    ),
    case(
        "both must be bought; one is missing",
        DOCUMENT, [line(1, TEA, 300)], a(BOTH), no(NO_ITEM),
    ),
    case(
        "both must be bought; one unit cannot be both",
        DOCUMENT, [line(1, TEA, 300)], a(nacc("100", more=second("1", "1", "120"))), no(TOO_FEW),
    ),
    case(
        "both must be bought; two units can",
        DOCUMENT, [line(1, TEA, 600, 2)], a(nacc("100", more=second("1", "1", "120"))),
        off({1: 100}),
    ),
    case(
        "either will do: the first",
        DOCUMENT, [line(1, TEA, 300), line(2, COFFEE, 900, 3)], a(EITHER), off({1: 100}),
    ),
    case(
        "either will do: three of the second",
        DOCUMENT, [line(2, COFFEE, 900, 3)], a(EITHER), off({2: 100}),
    ),
    case(
        "either will do: two of the second are too few",
        DOCUMENT, [line(2, COFFEE, 600, 2)], a(EITHER), no(TOO_FEW),
    ),
    case(
        "the first and one more: the third",
        DOCUMENT, [line(1, TEA, 300), line(3, LOOSE_TEA, 200)],
        a(nacc("100", more=second("2", "1", "850") + third("1", "130"))), off({1: 100}),
    ),
    case(
        "the first and one more: the value goes to the one that was bought",
        DOCUMENT, [line(1, TEA, 300), line(3, LOOSE_TEA, 200)],
        a(nacc("100", more=second("2", "1", "850") + third("1", "130") + "90100")), off({3: 100}),
    ),
    case(
        "the first and one more: the first is missing",
        DOCUMENT, [line(2, COFFEE, 300), line(3, LOOSE_TEA, 200)],
        a(nacc("100", more=second("2", "1", "850") + third("1", "130"))), no(NO_ITEM),
    ),
    case(
        "the first and one more: only the first is there",
        DOCUMENT, [line(1, TEA, 300)],
        a(nacc("100", more=second("2", "1", "850") + third("1", "130"))), no(NO_ITEM),
    ),
    case(
        "the first and one more: too few of the first",
        DOCUMENT, [line(1, TEA, 300), line(2, COFFEE, 300), line(3, LOOSE_TEA, 200)],
        a(nacc("100", need="2", more=second("2", "1", "850") + third("1", "130"))), no(TOO_FEW),
    ),
    case(
        "three of any mix",
        DOCUMENT, [line(1, TEA, 300), line(2, COFFEE, 600, 2)], a(MIXED), off({1: 33, 2: 67}),
    ),
    case(
        "two of any mix are too few",
        DOCUMENT, [line(1, TEA, 300), line(2, COFFEE, 300)], a(MIXED), no(TOO_FEW),
    ),
    case(
        "both must be bought; an index without a purchase is the first",
        DOCUMENT, [line(1, TEA, 300), line(2, COFFEE, 200)],
        a(nacc("100", more=second("1", "1", "850") + "90200")), off({1: 100}),
    ),
    case(
        "no units asked for: one earns it",
        DOCUMENT, [line(1, TEA, 600, 2)], a(nacc("500", need="0")), off({1: 300}),
    ),
    case(
        "an index without a purchase is the first",
        DOCUMENT, TEA_499, a(nacc("100", more="90200")), off({1: 100}),
    ),
]  # fmt: skip

VALUES_AND_MEASURES = [
    case(
        "buy one, another one free",
        DOCUMENT, [line(1, TEA, 300), line(2, COFFEE, 450)],
        a(nacc("0", more=second("1", "1", "850") + "91100")), off({2: 450}),
    ),
    case(
        "free up to a value",
        DOCUMENT, TEA_499, a(nacc("150", more="91000")), off({1: 150}),
    ),
    case(
        "two of three free, the cheapest",
        DOCUMENT, [line(1, TEA, 300), line(2, TEA, 200), line(3, TEA, 250)],
        a(nacc("2", need="3", more="92000")), off({2: 200, 3: 250}),
    ),
    case(
        "no item free",
        DOCUMENT, TEA_499, a(nacc("0", more="92000")), no(NO_ITEM),
    ),
    case(
        "20 per cent off",
        DOCUMENT, TEA_499, a(nacc("20", more="95000")), off({1: 100}),
    ),
    case(
        "more than all of it is all of it",
        DOCUMENT, TEA_499, a(nacc("250", more="95000")), off({1: 499}),
    ),
    case(
        "off the transaction",
        DOCUMENT, [line(1, TEA, 500), line(2, MILK, 500)], a(nacc("250", more="96000")),
        off({1: 125, 2: 125}),
    ),
    case(
        "spend ten on tea: exactly",
        DOCUMENT, [line(1, TEA, 600), line(2, TEA_LARGE, 400)],
        a(nacc("100", need="1000", code="1")), off({1: 60, 2: 40}),
    ),
    case(
        "spend ten on tea: a cent short",
        DOCUMENT, [line(1, TEA, 600), line(2, TEA_LARGE, 399), line(3, COFFEE, 900)],
        a(nacc("100", need="1000", code="1")), no(TOO_FEW),
    ),
    case(
        "spend ten in all",
        DOCUMENT, [line(1, MILK, 750), line(2, COFFEE, 250)],
        a(nacc("100", need="1000", code="2", family="000")), off({1: 75, 2: 25}),
    ),
    case(
        "spend ten in all: a cent short",
        DOCUMENT, [line(1, MILK, 999)],
        a(nacc("100", need="1000", code="2", family="000")), no(TOO_FEW),
    ),
    case(
        "two pounds and a half",
        DOCUMENT, [line(1, LOOSE_TEA, 900, unitCode="LBR", quantityMilli="2500")],
        a(nacc("200", need="250", code="3", family="130")), off({1: 200}),
    ),
    case(
        "a little less than two pounds and a half",
        DOCUMENT, [line(1, LOOSE_TEA, 900, unitCode="LBR", quantityMilli="2499")],
        a(nacc("200", need="250", code="3", family="130")), no(TOO_FEW),
    ),
    case(
        "pounds are not kilograms",
        DOCUMENT, [line(1, LOOSE_TEA, 900, unitCode="LBR", quantityMilli="9000")],
        a(nacc("200", need="1500", code="4", family="130")), no(NO_ITEM),
    ),
    case(
        "one kilogram and a half in two bags",
        DOCUMENT,
        [
            line(1, LOOSE_TEA, 600, unitCode="KGM", quantityMilli="1000"),
            line(2, LOOSE_TEA, 300, unitCode="KGM", quantityMilli="500"),
        ],
        a(nacc("300", need="1500", code="4", family="130")), off({1: 200, 2: 100}),
    ),
]  # fmt: skip

NUMBERS = [
    case(
        "a coupon number is looked up",
        DOCUMENT, [line(1, MILK, 199)], [coupon("a", GCN, "GS1_255_GCN")],
        [takes("a", f"clip:{GCN}", {1: 40}, key("clip", GCN, "hh-1"))],
    ),
    case(
        "its serial is used once, by whomever",
        DOCUMENT, [line(1, MILK, 398, 2)],
        [coupon("a", f"(255){GCN}77", "GS1_255_GCN"), coupon("b", f"{GCN}78", "GS1_255_GCN")],
        [
            takes("a", f"clip:{GCN}", {1: 40}, key("255", GCN, "77")),
            refuses("b", f"clip:{GCN}", "COUPON_ALREADY_REDEEMED", "ALREADY_REDEEMED"),
        ],
        redeemed=(key("255", GCN, "78"),),
    ),
    case(
        "a wrong check digit",
        DOCUMENT, [line(1, MILK, 199)], [coupon("a", GCN[:-1] + "3", "GS1_255_GCN")],
        [refuses("a", "", "COUPON_MALFORMED", "UNREADABLE")],
    ),
    case(
        "a number nobody knows",
        DOCUMENT, [line(1, MILK, 199)], [coupon("a", "2550000000008", "GS1_255_GCN")],
        [refuses("a", "", "COUPON_UNKNOWN")],
    ),
]  # fmt: skip

CASES = [
    *ONE_PURCHASE,
    *DATES_AND_IDENTITY,
    *SEVERAL_PURCHASES,
    *VALUES_AND_MEASURES,
    *NUMBERS,
]
