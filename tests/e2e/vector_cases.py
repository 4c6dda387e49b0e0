"""The published vectors as baskets, whole rules bundles and expectations.

Owns how each family of vectors is read (tests/vectors/README.md); a file of a family that is
not known here is an error, so that no new vector goes without a real gateway.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from posgate.v1 import basket_pb2
from terminal_client.codec import basket_from_pb
from terminal_client.core.basket import Basket
from terminal_client.core.decision import OfferResult, WorkflowResult
from terminal_client.core.fallback import pack
from terminal_client.core.redemptions import RedemptionView
from tests.core.policies import policy_with

WORKFLOW = "promotion_validation"
RULES_NAME = "vector"
_FOLDER = Path(__file__).parents[1] / "vectors" / "rules"
# The engine is what is proved here; a busy machine must not cut it short.
_POLICY = policy_with(f"workflows.{WORKFLOW}.budget_ms", 2000)


@dataclass(frozen=True, kw_only=True)
class VectorCase:
    """One published case. ``check`` raises AssertionError for another answer."""

    name: str
    number: int
    basket: Basket
    bundle: bytes
    redeemed: tuple[str, ...]
    view_as_of: datetime | None
    check: Callable[[WorkflowResult], None]

    @property
    def view(self) -> RedemptionView:
        return RedemptionView(keys=frozenset(self.redeemed), as_of=self.view_as_of)


def vector_cases() -> list[VectorCase]:
    """Return every published case that a whole gateway can answer.

    ``node_budget`` is no part of a bundle: such a case is for the engine alone.
    """
    families = {"promotions": _promotions, "coupons": _coupons}
    found: list[VectorCase] = []
    for path in sorted(_FOLDER.glob("*.json")):
        read = families[path.stem.partition("-")[0]]
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            if "node_budget" not in case:
                found.append(read(f"{path.stem}: {case['name']}", len(found) + 1, case))
    return found


def _promotions(name: str, number: int, case: Mapping[str, Any]) -> VectorCase:
    expected = case["expected"]

    def check(result: WorkflowResult) -> None:
        assert [_promotion_told(offer) for offer in result.offers] == expected["offers"]
        assert [reason.code for reason in result.reasons] == expected["reasons"]

    at = datetime.fromisoformat(case["evaluation_time"]).astimezone(UTC)
    basket = _basket(case["basket"], number, at)
    return VectorCase(
        name=name,
        number=number,
        basket=basket,
        bundle=_bundle(
            number,
            at,
            case["utc_offset_s"],
            promotions=case["promotions"],
            segments={segment: [basket.loyalty_token] for segment in case["targeting"]},
        ),
        redeemed=(),
        view_as_of=None,
        check=check,
    )


def _coupons(name: str, number: int, case: Mapping[str, Any]) -> VectorCase:
    expected = case["expected"]["offers"]

    def check(result: WorkflowResult) -> None:
        assert [_coupon_told(offer) for offer in result.offers] == expected
        said = [reason for offer in expected for reason in offer["reasons"]]
        # A whole bundle also says what its promotions, here none, think of the basket.
        codes = [reason.code for reason in result.reasons]
        about_coupons = [code for code in codes if not code.startswith("PROMOTION_")]
        assert about_coupons == list(dict.fromkeys(said))

    written = datetime.fromisoformat(case["evaluation_time"])
    offset = written.utcoffset()
    assert offset is not None
    at, age_s = written.astimezone(UTC), case["view_age_s"]
    return VectorCase(
        name=name,
        number=number,
        basket=_basket(case["basket"], number, at),
        bundle=_bundle(number, at, offset // timedelta(seconds=1), coupons=case["coupons"]),
        redeemed=tuple(case["redeemed"]),
        view_as_of=None if age_s is None else at - timedelta(seconds=age_s),
        check=check,
    )


def _basket(written: Mapping[str, Any], number: int, at: datetime) -> Basket:
    basket = basket_from_pb(json_format.ParseDict(written, basket_pb2.Basket()))
    # A basket of its own: inside one basket, rules do not change.
    transaction = replace(basket.transaction, basket_id=f"vector-{number}")
    return replace(basket, transaction=transaction, evaluation_time=at)


def _bundle(
    number: int,
    at: datetime,
    utc_offset_s: int,
    *,
    promotions: object = (),
    coupons: object = None,
    segments: Mapping[str, list[str]] | None = None,
) -> bytes:
    return pack(
        {
            "schema": 1,
            "name": RULES_NAME,
            "version": f"1.{number}.0",
            "as_of": at.isoformat(),
            "store_id": "S1",
            "time_zone": {"name": "vector", "transitions": [[0, utc_offset_s]]},
            "policy": _POLICY,
            "rules": [],
            "promotions": promotions,
            "coupons": coupons or {},
            "tables": {"segments": segments or {}},
        }
    )


def _promotion_told(offer: OfferResult) -> dict[str, object]:
    return {
        "offer_id": offer.offer_id,
        "status": offer.status.name,
        "discount_minor": offer.discount_minor,
        "allocations": [
            {"line_number": share.line_number, "discount_minor": share.discount_minor}
            for share in offer.allocations
        ],
        "reasons": [reason.code for reason in offer.reasons],
    }


def _coupon_told(offer: OfferResult) -> dict[str, object]:
    return {
        "offer_id": offer.offer_id,
        "coupon_ref": offer.coupon_ref,
        "status": offer.status.name,
        "discount_minor": offer.discount_minor,
        "allocations": [[share.line_number, share.discount_minor] for share in offer.allocations],
        "reasons": [reason.code for reason in offer.reasons],
        "redemption_key": offer.redemption_key,
    }
