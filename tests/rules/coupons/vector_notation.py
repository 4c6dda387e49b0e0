"""How the coupon vectors are written down: small words for baskets and expectations.

Nothing here computes an expectation from the engine: amounts and statuses are written by hand
in ``vector_cases_*``, and only redemption keys are derived, by their documented recipe.
"""

from __future__ import annotations

from typing import Any

from terminal_client.core.redemptions import redemption_key

Json = dict[str, Any]

NOON = "2026-03-15T12:00:00-04:00"
MILK, BREAD, SOAP, SOUP, PEN = "milk", "bread", "soap", "soup", "pen"
COMPANY = "0614141"
TEA, TEA_LARGE, COFFEE = "00614141000012", "00614141000029", "00614141000036"
LOOSE_TEA, FOREIGN = "00614141000043", "09900000000016"
SERIAL = "12345678"


def line(number: int, item: str, extended: int, quantity: int = 1, **more: object) -> Json:
    """A line of whole units unless ``quantityMilli`` says otherwise."""
    return {
        "lineNumber": number,
        "itemId": item,
        "quantityMilli": str(quantity * 1000),
        "extendedMinor": str(extended),
        **more,
    }


def coupon(ref: str, data: str, symbology: str = "STORE") -> Json:
    return {"couponRef": ref, "symbology": f"COUPON_SYMBOLOGY_{symbology}", "data": data}


def case(
    name: str,
    document: Json,
    lines: list[Json],
    coupons: list[Json],
    offers: list[Json],
    *,
    household: str = "hh-1",
    time: str = NOON,
    redeemed: tuple[str, ...] = (),
    view_age_s: int | None = 0,
    kind: str = "",
) -> Json:
    basket: Json = {"lines": lines, "coupons": coupons}
    if kind:
        basket["transactionType"] = f"TRANSACTION_TYPE_{kind}"
    shown = " ".join(presented["data"] for presented in coupons)
    if household:
        basket["loyaltyToken"] = household
    return {
        "name": name,
        "coupons": _without_idle_parts(document, shown),
        "redeemed": list(redeemed),
        "view_age_s": view_age_s,
        "basket": basket,
        "evaluation_time": time,
        "expected": {"offers": offers},
    }


def _without_idle_parts(document: Json, shown: str) -> Json:
    """Leave out the coupons and value codes that no presented coupon can mean."""
    kept = dict(document)
    if "store_coupons" in document:
        kept["store_coupons"] = [
            coupon for coupon in document["store_coupons"] if coupon["coupon_code"] in shown
        ]
        used = {coupon["value"].get("code") for coupon in kept["store_coupons"]}
        codes = document.get("value_codes", {})
        kept["value_codes"] = {code: codes[code] for code in codes if code in used}
    return kept


def key(*parts: str) -> str:
    return redemption_key(*parts)


def takes(
    ref: str,
    offer: str,
    allocations: dict[int, int],
    redemption: str = "",
    status: str = "APPLIED",
    reason: str = "",
) -> Json:
    """An accepted coupon that takes ``allocations`` off the lines."""
    return {
        "offer_id": offer,
        "coupon_ref": ref,
        "status": status,
        "discount_minor": sum(allocations.values()),
        "allocations": [[number, minor] for number, minor in allocations.items()],
        "reasons": [reason] if reason else [],
        "redemption_key": redemption,
    }


def unverified(ref: str, allocations: dict[int, int], serial: str = SERIAL) -> Json:
    return takes(
        ref,
        f"brands:{COMPANY}123456",
        allocations,
        key("8112", COMPANY, "123456", serial),
        "ACCEPTED_UNVERIFIED",
        "COUPON_UNVERIFIED_OFFLINE",
    )


def matches(ref: str, allocations: dict[int, int]) -> Json:
    return takes(ref, "coupon_match", allocations, reason="COUPON_MATCHED")


def refuses(ref: str, offer: str, reason: str, status: str = "NOT_ELIGIBLE") -> Json:
    return takes(ref, offer, {}, status=status, reason=reason)


def nacc(
    save: str = "250",
    need: str = "1",
    code: str = "0",
    family: str = "120",
    more: str = "",
    company: str = COMPANY,
) -> str:
    """An AI 8110 element string without its AI."""
    return (
        f"{len(company) - 6}{company}654321{len(save)}{save}{len(need)}{need}{code}{family}{more}"
    )


def second(rules: str, need: str, family: str, code: str = "0", company: str = "") -> str:
    """Optional field 1; without a company, the first purchase's."""
    prefix = f"{len(company) - 6}{company}" if company else "9"
    return f"1{rules}{len(need)}{need}{code}{family}{prefix}"


def third(need: str, family: str, code: str = "0") -> str:
    """Optional field 2, of the first purchase's company."""
    return f"2{len(need)}{need}{code}{family}9"


def positive(serial: str = SERIAL, funder: str = COMPANY, offer: str = "123456") -> str:
    """An AI 8112 element string without its AI."""
    return f"0{len(funder) - 6}{funder}{offer}{len(serial) - 6}{serial}"
