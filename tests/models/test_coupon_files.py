"""The committed coupon files: the real redemptions and what a correct engine must find."""

from __future__ import annotations

from examples.complete_journey.coupons import (
    read_campaigns,
    read_coupon_lines,
    read_redemptions,
)


def test_every_real_redemption_is_of_a_known_coupon_sent_in_time() -> None:
    content = read_campaigns()
    coupons = {(c["coupon_upc"], c["campaign_id"]) for c in content["coupons"]}
    campaigns = {c["campaign_id"]: c for c in content["campaigns"]}
    sent = {c["campaign_id"]: set(c["households"]) for c in content["campaigns"]}
    redemptions = list(read_redemptions())
    assert len(redemptions) == 2102
    assert [r.date for r in redemptions] == sorted(r.date for r in redemptions)
    for redemption in redemptions:
        campaign = campaigns[redemption.campaign]
        assert (redemption.coupon, redemption.campaign) in coupons
        assert redemption.household in sent[redemption.campaign]
        assert campaign["start_date"] <= redemption.date <= campaign["end_date"]
        assert redemption.lines


def test_qualifying_items_and_repeats_split_the_redemptions_as_published() -> None:
    products = {
        (c["coupon_upc"], c["campaign_id"]): set(c["product_ids"])
        for c in read_campaigns()["coupons"]
    }
    seen: set[tuple[str, str, str]] = set()
    verdicts = {"ok": 0, "no_qualifying_item": 0, "already_redeemed": 0}
    for redemption in read_redemptions():
        coupon = (redemption.coupon, redemption.campaign)
        qualifies = any(str(line[0]) in products[coupon] for line in redemption.lines)
        if not qualifies:
            verdicts["no_qualifying_item"] += 1
        elif (redemption.household, *coupon) in seen:
            verdicts["already_redeemed"] += 1
        else:
            verdicts["ok"] += 1
        seen.add((redemption.household, *coupon))
    assert verdicts == {"ok": 1815, "no_qualifying_item": 263, "already_redeemed": 24}


def test_the_store_doubles_coupons_to_the_cent_on_most_lines() -> None:
    def matched(face: int) -> int:
        return face if face <= 50 else max(100 - face, 0)

    lines = read_coupon_lines()
    assert len(lines) == 21889
    assert sum(match == matched(coupon) for coupon, match, _ in lines) == 20449
