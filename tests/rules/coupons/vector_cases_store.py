"""Hand-reasoned cases: store coupons, campaigns, one use, values and the store's match."""

from __future__ import annotations

from tests.rules.coupons.vector_notation import (
    BREAD,
    MILK,
    PEN,
    SOAP,
    SOUP,
    Json,
    case,
    coupon,
    key,
    line,
    matches,
    refuses,
    takes,
)


def maker(code: str, value: Json, **more: object) -> Json:
    return {
        "coupon_code": code,
        "campaign_id": "paper",
        "item_ids": [SOUP],
        "value": value,
        "funder": "maker",
        **more,
    }


def amount(minor: int) -> Json:
    return {"kind": "amount", "amount_minor": minor}


def store(
    code: str, value: Json, items: list[str], campaign: str = "spring", least: int = 1
) -> Json:
    return {
        "coupon_code": code,
        "campaign_id": campaign,
        "item_ids": items,
        "value": value,
        "min_quantity": least,
    }


DOCUMENT: Json = {
    "campaigns": [
        {
            "campaign_id": "spring",
            "first_date": 20260301,
            "last_date": 20260331,
            "households": ["hh-1", "hh-2"],
        },
        {"campaign_id": "year", "first_date": 20260101, "last_date": 20261231, "open": True},
        {
            "campaign_id": "paper",
            "first_date": 20260101,
            "last_date": 20261231,
            "open": True,
            "one_use": False,
        },
    ],
    "store_coupons": [
        store("100", amount(75), [MILK, BREAD]),
        store("200", {"kind": "percent", "percent_bp": 1000}, [MILK, BREAD], least=2),
        store("201", {"kind": "percent", "percent_bp": 5000, "max_minor": 100}, [MILK]),
        store("300", {"kind": "free_item"}, [SOAP], least=2),
        store("400", {"kind": "none"}, [MILK]),
        store("500", {"kind": "transaction", "amount_minor": 500}, [MILK], "year"),
        store("700", amount(10), [MILK]),
        store("700", amount(20), [MILK], "year"),
        store("800", amount(30), [SOUP], "paper"),
        maker("51600012033", {"kind": "value_code", "code": "33"}),
        maker("51600012032", {"kind": "value_code", "code": "32"}),
        maker("51600012001", {"kind": "value_code", "code": "01"}),
        *(maker(f"face{minor}", amount(minor)) for minor in (50, 51, 99, 100, 150)),
        maker("plain50", amount(50), multiply=False),
    ],
    "value_codes": {
        "33": {"value": amount(100), "min_quantity": 2},
        "32": {"value": amount(75), "min_quantity": 2},
        "01": {"value": {"kind": "free_item"}},
    },
    "doubling": {"offer_id": "coupon_match", "full_up_to_minor": 50, "up_to_total_minor": 100},
}
UNDOUBLED = {name: value for name, value in DOCUMENT.items() if name != "doubling"}

SPRING_100 = key("spring", "100", "hh-1")
MILK_199 = [line(1, MILK, 199)]
NO_ITEM = "COUPON_NO_QUALIFYING_ITEM"
TOO_FEW = "COUPON_QUANTITY_NOT_MET"
USED = ("COUPON_ALREADY_REDEEMED", "ALREADY_REDEEMED")
OVER = ("COUPON_EXPIRED", "EXPIRED")
HUNDRED = [coupon("a", "100")]


def applied_100(minor: int = 75, household: str = "hh-1") -> list[Json]:
    return [takes("a", "spring:100", {1: minor}, key("spring", "100", household))]


WINDOWS_AND_HOUSEHOLDS = [
    case("an amount comes off the item", DOCUMENT, MILK_199, HUNDRED, applied_100()),
    case(
        "first day, first second",
        DOCUMENT, MILK_199, HUNDRED, applied_100(), time="2026-03-01T00:00:00-05:00",
    ),
    case(
        "a second before the first day",
        DOCUMENT, MILK_199, HUNDRED,
        [refuses("a", "spring:100", "COUPON_NOT_STARTED", "EXPIRED")],
        time="2026-02-28T23:59:59-05:00",
    ),
    case(
        "last day, last second",
        DOCUMENT, MILK_199, HUNDRED, applied_100(), time="2026-03-31T23:59:59-04:00",
    ),
    case(
        "the day after the last day",
        DOCUMENT, MILK_199, HUNDRED, [refuses("a", "spring:100", *OVER)],
        time="2026-04-01T00:00:00-04:00",
    ),
    case(
        "the store's date counts, not UTC's: 00:30 UTC is still the last day here",
        DOCUMENT, MILK_199, HUNDRED, applied_100(), time="2026-03-31T20:30:00-04:00",
    ),
    case(
        "another targeted household",
        DOCUMENT, MILK_199, HUNDRED, applied_100(household="hh-2"), household="hh-2",
    ),
    case(
        "a household that was not sent it",
        DOCUMENT, MILK_199, HUNDRED, [refuses("a", "spring:100", "COUPON_NOT_TARGETED")],
        household="hh-3",
    ),
    case(
        "nobody in particular",
        DOCUMENT, MILK_199, HUNDRED, [refuses("a", "spring:100", "COUPON_NOT_TARGETED")],
        household="",
    ),
    case(
        "an open campaign serves nobody in particular, without a key",
        DOCUMENT, MILK_199, [coupon("a", "year:700")], [takes("a", "year:700", {1: 20})],
        household="",
    ),
    case(
        "an open one-use coupon twice in a basket without a household",
        DOCUMENT, [line(1, MILK, 398, 2)], [coupon("a", "year:700"), coupon("b", "year:700")],
        [takes("a", "year:700", {1: 20}), refuses("b", "year:700", *USED)],
        household="",
    ),
    case(
        "the window speaks before the household",
        DOCUMENT, MILK_199, HUNDRED, [refuses("a", "spring:100", *OVER)],
        household="hh-3", time="2026-05-01T09:00:00-04:00",
    ),
    case(
        "the household speaks before the item",
        DOCUMENT, [line(1, PEN, 199)], HUNDRED,
        [refuses("a", "spring:100", "COUPON_NOT_TARGETED")], household="hh-3",
    ),
]  # fmt: skip

ITEMS_AND_USE = [
    case(
        "no qualifying item",
        DOCUMENT, [line(1, PEN, 199)], HUNDRED, [refuses("a", "spring:100", NO_ITEM)],
    ),
    case("an empty basket", DOCUMENT, [], HUNDRED, [refuses("a", "spring:100", NO_ITEM)]),
    case(
        "a voided line does not count",
        DOCUMENT, [line(1, MILK, 199, voided=True)], HUNDRED,
        [refuses("a", "spring:100", NO_ITEM)],
    ),
    case(
        "a line taken back by another does not count",
        DOCUMENT, [line(1, MILK, 199), line(2, MILK, -199, -1, voidsLineNumber=1)], HUNDRED,
        [refuses("a", "spring:100", NO_ITEM)],
    ),
    case(
        "a returned item does not count",
        DOCUMENT, [line(1, MILK, -199, -1)], HUNDRED, [refuses("a", "spring:100", NO_ITEM)],
    ),
    *(
        case(
            f"nothing is sold: {kind}",
            DOCUMENT, MILK_199, HUNDRED, [refuses("a", "spring:100", NO_ITEM)], kind=kind,
        )
        for kind in ("RETURN", "NO_SALE", "VOID")
    ),
    *(
        case(f"something is sold: {kind}", DOCUMENT, MILK_199, HUNDRED, applied_100(), kind=kind)
        for kind in ("SALE", "EXCHANGE", "TRAINING")
    ),
    case(
        "an item that costs nothing any more",
        DOCUMENT, [line(1, MILK, 0)], HUNDRED, [refuses("a", "spring:100", NO_ITEM)],
    ),
    case(
        "redeemed before",
        DOCUMENT, MILK_199, HUNDRED, [refuses("a", "spring:100", *USED)], redeemed=(SPRING_100,),
    ),
    case(
        "redeemed by another household",
        DOCUMENT, MILK_199, HUNDRED, applied_100(), redeemed=(key("spring", "100", "hh-2"),),
    ),
    case(
        "redeemed in another campaign",
        DOCUMENT, MILK_199, HUNDRED, applied_100(), redeemed=(key("year", "100", "hh-1"),),
    ),
    case(
        "the item speaks before the redemption",
        DOCUMENT, [line(1, PEN, 199)], HUNDRED, [refuses("a", "spring:100", NO_ITEM)],
        redeemed=(SPRING_100,),
    ),
    case(
        "the same coupon twice in one basket, with items for two",
        DOCUMENT, [line(1, MILK, 398, 2)], [coupon("b", "100"), coupon("a", "100")],
        [*applied_100(), refuses("b", "spring:100", *USED)],
    ),
    case(
        "the same coupon twice in one basket, with one item: the redemption speaks",
        DOCUMENT, MILK_199, [coupon("a", "100"), coupon("b", "100")],
        [*applied_100(), refuses("b", "spring:100", *USED)],
    ),
    case(
        "two store coupons want the same unit",
        DOCUMENT, MILK_199, [coupon("a", "100"), coupon("b", "400")],
        [*applied_100(), refuses("b", "spring:400", TOO_FEW)],
    ),
    case(
        "two store coupons, two units",
        DOCUMENT, [line(1, MILK, 398, 2)], [coupon("a", "100"), coupon("b", "400")],
        [*applied_100(), takes("b", "spring:400", {}, key("spring", "400", "hh-1"))],
    ),
    case(
        "a refused coupon leaves its item to the next",
        DOCUMENT, MILK_199, [coupon("a", "100"), coupon("b", "400")],
        [
            refuses("a", "spring:100", *USED),
            takes("b", "spring:400", {}, key("spring", "400", "hh-1")),
        ],
        redeemed=(SPRING_100,),
    ),
    case(
        "paper coupons may be handed over again",
        DOCUMENT, [line(1, SOUP, 300, 2)], [coupon("a", "800"), coupon("b", "800")],
        [takes("a", "paper:800", {1: 30}), takes("b", "paper:800", {1: 30})],
    ),
    case(
        "but each needs an item of its own",
        DOCUMENT, [line(1, SOUP, 150)], [coupon("a", "800"), coupon("b", "800")],
        [takes("a", "paper:800", {1: 30}), refuses("b", "paper:800", TOO_FEW)],
    ),
    case(
        "coupons are judged by reference, whatever their place",
        DOCUMENT, [line(1, SOUP, 150)], [coupon("z", "800"), coupon("m", "800")],
        [takes("m", "paper:800", {1: 30}), refuses("z", "paper:800", TOO_FEW)],
    ),
    case(
        "a measured line is one unit",
        DOCUMENT, [line(1, MILK, 199, unitCode="KGM", quantityMilli="2000")],
        [coupon("a", "200")], [refuses("a", "spring:200", TOO_FEW)],
    ),
    case(
        "a line of one and a half is one unit",
        DOCUMENT, [line(1, MILK, 199, quantityMilli="1500")], HUNDRED, applied_100(),
    ),
    case(
        "what this coupon took off before is given back first",
        DOCUMENT,
        [
            line(
                1, MILK, 124,
                discounts=[
                    {
                        "kind": "DISCOUNT_KIND_COUPON", "amountMinor": "75",
                        "offerId": "spring:100", "couponRef": "a",
                    }
                ],
            )
        ],
        HUNDRED, applied_100(),
    ),
    case(
        "nobody knows the code",
        DOCUMENT, MILK_199, [coupon("a", "999")], [refuses("a", "", "COUPON_UNKNOWN")],
    ),
    case(
        "another symbology is never applied",
        DOCUMENT, MILK_199, [coupon("a", "100", "OTHER")], [refuses("a", "", "COUPON_UNKNOWN")],
    ),
    case(
        "a bundle without coupons",
        {}, MILK_199, HUNDRED, [refuses("a", "", "COUPON_UNKNOWN")],
    ),
]  # fmt: skip

SEVERAL_CAMPAIGNS = [
    case(
        "the campaign that ends first serves",
        DOCUMENT, MILK_199, [coupon("a", "700")],
        [takes("a", "spring:700", {1: 10}, key("spring", "700", "hh-1"))],
    ),
    case(
        "when it is over, the other does",
        DOCUMENT, MILK_199, [coupon("a", "700")],
        [takes("a", "year:700", {1: 20}, key("year", "700", "hh-1"))],
        time="2026-04-01T00:00:00-04:00",
    ),
    case(
        "when it is used up, the other does",
        DOCUMENT, MILK_199, [coupon("a", "700")],
        [takes("a", "year:700", {1: 20}, key("year", "700", "hh-1"))],
        redeemed=(key("spring", "700", "hh-1"),),
    ),
    case(
        "a register that names the campaign means it",
        DOCUMENT, MILK_199, [coupon("a", "spring:700")], [refuses("a", "spring:700", *OVER)],
        time="2026-04-01T00:00:00-04:00",
    ),
    case(
        "of two refusals the one that came further speaks",
        DOCUMENT, [line(1, PEN, 100)], [coupon("a", "700")],
        [refuses("a", "year:700", NO_ITEM)], household="hh-3",
    ),
]  # fmt: skip

VALUES = [
    case(
        "never more than the item costs",
        DOCUMENT, [line(1, BREAD, 60), line(2, PEN, 900)], HUNDRED, applied_100(60),
    ),
    case(
        "the dearest unit carries the coupon",
        DOCUMENT, [line(1, BREAD, 60), line(2, MILK, 199)], HUNDRED,
        [takes("a", "spring:100", {2: 75}, SPRING_100)],
    ),
    case(
        "of equally dear units the lower line carries it",
        DOCUMENT, [line(2, BREAD, 199), line(1, MILK, 199)], HUNDRED, applied_100(),
    ),
    # 10 % of 500 is 50: 19.9 and 30.1 of it, so the odd cent goes to line 1.
    case(
        "a share is split by largest remainder",
        DOCUMENT, [line(1, MILK, 199), line(2, BREAD, 301)], [coupon("a", "200")],
        [takes("a", "spring:200", {1: 20, 2: 30}, key("spring", "200", "hh-1"))],
    ),
    # Lines 1 and 2 are the dearest two: 10 % of 449 is 44.9, rounded to 45.
    case(
        "a share of the dearest units it needs",
        DOCUMENT, [line(1, MILK, 199), line(2, MILK, 250), line(3, BREAD, 100)],
        [coupon("a", "200")],
        [takes("a", "spring:200", {1: 20, 2: 25}, key("spring", "200", "hh-1"))],
    ),
    case(
        "one unit where two are needed",
        DOCUMENT, MILK_199, [coupon("a", "200")], [refuses("a", "spring:200", TOO_FEW)],
    ),
    case(
        "a share has a cap",
        DOCUMENT, [line(1, MILK, 399)], [coupon("a", "201")],
        [takes("a", "spring:201", {1: 100}, key("spring", "201", "hh-1"))],
    ),
    case(
        "half of an odd amount rounds in the customer's favour",
        DOCUMENT, [line(1, MILK, 99)], [coupon("a", "201")],
        [takes("a", "spring:201", {1: 50}, key("spring", "201", "hh-1"))],
    ),
    case(
        "buy two, one free: one of two equal units",
        DOCUMENT, [line(1, SOAP, 598, 2)], [coupon("a", "300")],
        [takes("a", "spring:300", {1: 299}, key("spring", "300", "hh-1"))],
    ),
    case(
        "buy two, one free: the cheaper of the two",
        DOCUMENT, [line(1, SOAP, 300), line(2, SOAP, 250)], [coupon("a", "300")],
        [takes("a", "spring:300", {2: 250}, key("spring", "300", "hh-1"))],
    ),
    case(
        "buy two, one free: the cheaper of the two dearest",
        DOCUMENT, [line(1, SOAP, 100), line(2, SOAP, 250), line(3, SOAP, 300)],
        [coupon("a", "300")],
        [takes("a", "spring:300", {2: 250}, key("spring", "300", "hh-1"))],
    ),
    case(
        "a coupon of no value is taken all the same",
        DOCUMENT, MILK_199, [coupon("a", "400")],
        [takes("a", "spring:400", {}, key("spring", "400", "hh-1"))],
    ),
    # 500 over 200, 300 and 1,000: 66.7, 100 and 333.3.
    case(
        "off the whole transaction",
        DOCUMENT, [line(1, MILK, 200), line(2, BREAD, 300), line(3, PEN, 1000)],
        [coupon("a", "500")],
        [takes("a", "year:500", {1: 67, 2: 100, 3: 333}, key("year", "500", "hh-1"))],
    ),
    case(
        "never more than the transaction",
        DOCUMENT, [line(1, MILK, 200), line(2, PEN, 100)], [coupon("a", "500")],
        [takes("a", "year:500", {1: 200, 2: 100}, key("year", "500", "hh-1"))],
    ),
]  # fmt: skip

SOUP_600 = [line(1, SOUP, 600)]
MATCHES = [
    case(
        "a face of 0.50 is matched in full",
        DOCUMENT, SOUP_600, [coupon("a", "face50")],
        [takes("a", "paper:face50", {1: 50}), matches("a", {1: 50})],
    ),
    case(
        "a face of 0.51 is matched up to a dollar",
        DOCUMENT, SOUP_600, [coupon("a", "face51")],
        [takes("a", "paper:face51", {1: 51}), matches("a", {1: 49})],
    ),
    case(
        "a face of 0.99 is matched by a cent",
        DOCUMENT, SOUP_600, [coupon("a", "face99")],
        [takes("a", "paper:face99", {1: 99}), matches("a", {1: 1})],
    ),
    case(
        "a face of a dollar is not matched",
        DOCUMENT, SOUP_600, [coupon("a", "face100")], [takes("a", "paper:face100", {1: 100})],
    ),
    case(
        "a face above a dollar is not matched",
        DOCUMENT, SOUP_600, [coupon("a", "face150")], [takes("a", "paper:face150", {1: 150})],
    ),
    case(
        "a coupon that must not be multiplied",
        DOCUMENT, SOUP_600, [coupon("a", "plain50")], [takes("a", "paper:plain50", {1: 50})],
    ),
    case(
        "a store's own coupon is not matched",
        DOCUMENT, SOUP_600, [coupon("a", "800")], [takes("a", "paper:800", {1: 30})],
    ),
    case(
        "a store without doubling",
        UNDOUBLED, SOUP_600, [coupon("a", "face50")], [takes("a", "paper:face50", {1: 50})],
    ),
    case(
        "as many coupons as units, each matched",
        DOCUMENT, [line(1, SOUP, 450, 3)], [coupon(ref, "face50") for ref in "abcd"],
        [
            takes("a", "paper:face50", {1: 50}), matches("a", {1: 50}),
            takes("b", "paper:face50", {1: 50}), matches("b", {1: 50}),
            takes("c", "paper:face50", {1: 50}), matches("c", {1: 50}),
            refuses("d", "paper:face50", TOO_FEW),
        ],
    ),
    case(
        "a match never takes more than is left of the unit",
        DOCUMENT, [line(1, SOUP, 80)], [coupon("a", "face50")],
        [takes("a", "paper:face50", {1: 50}), matches("a", {1: 30})],
    ),
    case(
        "a match of nothing is not mentioned",
        DOCUMENT, [line(1, SOUP, 40)], [coupon("a", "face50")],
        [takes("a", "paper:face50", {1: 40})],
    ),
    case(
        "a maker's and a store's coupon share a unit",
        DOCUMENT, [line(1, SOUP, 150)], [coupon("a", "face50"), coupon("b", "800")],
        [
            takes("a", "paper:face50", {1: 50}), matches("a", {1: 50}),
            takes("b", "paper:800", {1: 30}),
        ],
    ),
    case(
        "until nothing is left of it",
        DOCUMENT, [line(1, SOUP, 90)], [coupon("a", "face50"), coupon("b", "800")],
        [
            takes("a", "paper:face50", {1: 50}), matches("a", {1: 40}),
            refuses("b", "paper:800", NO_ITEM),
        ],
    ),
    case(
        "value code 33: a dollar off two",
        DOCUMENT, [line(1, SOUP, 600, 2)], [coupon("a", "51600012033")],
        [takes("a", "paper:51600012033", {1: 100})],
    ),
    case(
        "value code 33 with one",
        DOCUMENT, SOUP_600, [coupon("a", "51600012033")],
        [refuses("a", "paper:51600012033", TOO_FEW)],
    ),
    # 75 over 100 and 300: 18.75 and 56.25. The match of 25 over what is left, 81 and 244.
    case(
        "value code 32: coupon and match are split apart",
        DOCUMENT, [line(1, SOUP, 100), line(2, SOUP, 300)], [coupon("a", "51600012032")],
        [takes("a", "paper:51600012032", {1: 19, 2: 56}), matches("a", {1: 6, 2: 19})],
    ),
    case(
        "value code 01: a free item is not matched",
        DOCUMENT, SOUP_600, [coupon("a", "51600012001")],
        [takes("a", "paper:51600012001", {1: 600})],
    ),
]  # fmt: skip

CASES = [*WINDOWS_AND_HOUSEHOLDS, *ITEMS_AND_USE, *SEVERAL_CAMPAIGNS, *VALUES, *MATCHES]
