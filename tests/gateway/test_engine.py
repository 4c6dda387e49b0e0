"""The pipeline: who decides what, in which mode, from which rules; and once per request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from gateway.decisions.deep import DeepAnswer, DeepQuestion
from gateway.decisions.engine import DeadlineError, OverloadedError
from posgate.v1 import decision_pb2 as pb
from terminal_client.codec import RequestError, decision_from_pb, encode_request
from terminal_client.core.decision import Place, StageResult, Verdict, projection
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.freshness import Freshness
from terminal_client.core.modes import Mode, Tier
from terminal_client.core.pin import read_pin
from terminal_client.core.redemptions import RedemptionView
from tests.gateway.baskets import basket, line, request
from tests.gateway.box import Box, ScriptedDeep, box, stage
from tests.gateway.bundles import (
    NOW,
    cart_bundle,
    features_bundle,
    policy,
    price_bundle,
    rules_bundle,
)


async def says(score: float, question: DeepQuestion) -> DeepAnswer:
    return DeepAnswer(scores=np.full(len(question.item_ids), score, np.float32))


@pytest.fixture
def deep() -> ScriptedDeep:
    return ScriptedDeep(lambda question: says(0.95, question))


@pytest.fixture
async def store(tmp_path: Path, deep: ScriptedDeep) -> AsyncIterator[Box]:
    async with box(tmp_path, deep=deep) as opened:
        await opened.activate(
            rules_bundle(tmp_path),
            features_bundle(tmp_path / "features"),
            price_bundle(tmp_path / "price"),
        )
        yield opened


async def test_each_line_is_decided_by_the_lowest_tier_that_is_sure(
    store: Box, deep: ScriptedDeep
) -> None:
    decision = await store.decide(basket(["sure-yes", "sure-no", "maybe"]))
    (result,) = decision.results
    assert [(at.tier, at.place, at.expected) for at in result.lines] == [
        (Tier.EDGE_MODEL, Place.GATEWAY, True),
        (Tier.EDGE_MODEL, Place.GATEWAY, False),
        (Tier.DEEP_MODEL, Place.CLOUD, True),
    ]
    assert (result.verdict, result.mode, result.tier) == (
        Verdict.REVIEW, Mode.FULL, Tier.DEEP_MODEL,
    )  # fmt: skip
    assert [r.code for r in result.reasons] == ["PRICE_CONTRADICTS_MODEL"]
    (question,) = deep.questions
    assert (question.model, question.item_ids, question.date) == (
        "promo_price_deep", ("maybe",), 2017_11_22,
    )  # fmt: skip
    assert stage(decision, "edge") is stage(decision, "deep") is StageResult.RAN
    kinds = {(a.kind, a.freshness) for a in decision.artifacts}
    assert kinds == {(k, Freshness.FRESH) for k in ("rules", "model", "features")}


async def test_rows_hold_what_the_manifest_declares(store: Box, deep: ScriptedDeep) -> None:
    await store.decide(basket([line(1, "maybe", price=300)]))
    (row,) = deep.questions[0].rows.tolist()
    assert row == pytest.approx([0.5, 2.0, 0.0, 3.0, 1.5, 3.0])


async def test_all_borderline_rows_go_in_one_call(store: Box, deep: ScriptedDeep) -> None:
    await store.decide(basket(["maybe", "sure-yes", "quite", "maybe"]))
    assert [q.item_ids for q in deep.questions] == [("maybe", "quite", "maybe")]


async def test_both_uncertain_leaves_the_line_to_the_rules(store: Box, deep: ScriptedDeep) -> None:
    deep.reply = lambda question: says(0.5, question)
    result = await store.result(basket(["maybe"]))
    (judged,) = result.lines
    assert (judged.tier, judged.expected, judged.verdict) == (Tier.RULES, True, Verdict.REVIEW)
    assert [(r.code, r.line_number) for r in result.reasons] == [("BOTH_TIERS_UNCERTAIN", 1)]


@pytest.mark.parametrize(
    ("item", "loyalty", "flagged"),
    [("sure-no", 50, True), ("sure-no", 0, False), ("sure-yes", 50, False), ("sure-yes", 0, True)],
)
async def test_a_register_that_contradicts_a_sure_model_is_flagged(
    store: Box, item: str, loyalty: int, flagged: bool
) -> None:
    result = await store.result(basket([line(1, item, loyalty=loyalty)]))
    codes = [reason.code for reason in result.reasons]
    assert codes == (["PRICE_CONTRADICTS_MODEL"] if flagged else [])
    assert result.verdict is (Verdict.REVIEW if flagged else Verdict.APPROVE)


async def test_a_model_touches_only_what_its_influence_lists(tmp_path: Path) -> None:
    async with box(tmp_path) as opened:
        capped = policy(price_check={"influence": []})
        await opened.activate(
            rules_bundle(tmp_path, policy=capped),
            features_bundle(tmp_path / "f"),
            price_bundle(tmp_path / "m"),
        )
        result = await opened.result(basket([line(1, "sure-no", loyalty=50)]))
    assert result.verdict is Verdict.APPROVE
    assert result.lines[0].expected, "the rules' answer stands"
    assert {reason.code for reason in result.reasons} == {"INFLUENCE_CAPPED"}


async def test_no_verdict_rises_above_the_highest(tmp_path: Path) -> None:
    async with box(tmp_path) as opened:
        capped = policy(price_check={"highest_verdict": "approve"})
        await opened.activate(
            rules_bundle(tmp_path, policy=capped),
            features_bundle(tmp_path / "f"),
            price_bundle(tmp_path / "m"),
        )
        result = await opened.result(basket([line(1, "sure-no", loyalty=50), "maybe"]))
    assert result.verdict is Verdict.APPROVE
    assert {at.verdict for at in result.lines} == {Verdict.APPROVE}


async def test_forced_to_emergency_the_answer_is_the_terminals(store: Box) -> None:
    store.degrade.force(Mode.EMERGENCY, "DRILL")
    store.watch.look()
    whole = basket(["sure-yes", "maybe", "unknown"])
    names = ("price_check", "recommendation", "promotion_validation", "age_check")
    decision = await store.decide(whole, *names)
    bundle = store.holdings.active.rules
    assert isinstance(bundle, FallbackBundle)
    alone = bundle.decide(whole, names, NOW, RedemptionView())
    assert [projection(r) for r in decision.results] == [projection(r) for r in alone]
    assert {r.mode for r in decision.results} == {Mode.EMERGENCY}
    assert stage(decision, "edge") is stage(decision, "deep") is StageResult.NOT_ALLOWED


async def test_without_the_cloud_borderline_lines_say_why(store: Box, deep: ScriptedDeep) -> None:
    deep.trouble = "WAN_DOWN"
    store.watch.look()
    decision = await store.decide(basket(["maybe", "sure-yes"]))
    (result,) = decision.results
    assert (result.mode, store.degrade.reasons) == (Mode.LOCAL_ONLY, frozenset({"WAN_DOWN"}))
    assert [(at.tier, at.verdict) for at in result.lines] == [
        (Tier.RULES, Verdict.REVIEW), (Tier.EDGE_MODEL, Verdict.REVIEW),
    ]  # fmt: skip
    assert [(r.code, r.line_number) for r in result.reasons] == [
        ("WAN_DOWN", 1), ("PRICE_CONTRADICTS_MODEL", 2),
    ]  # fmt: skip
    assert deep.questions == []


async def test_without_an_edge_model_the_cloud_decides(tmp_path: Path, deep: ScriptedDeep) -> None:
    async with box(tmp_path, deep=deep) as opened:
        await opened.activate(rules_bundle(tmp_path), features_bundle(tmp_path / "f"))
        model = price_bundle(tmp_path / "m")
        await opened.holdings.stage(model.kind, model.digest, model.path)
        opened.watch.look()
        result = await opened.result(basket(["sure-no", "maybe"]))
    assert (result.mode, result.tier) == (Mode.CLOUD_ASSISTED, Tier.DEEP_MODEL)
    assert [q.item_ids for q in deep.questions] == [("sure-no", "maybe")]


@pytest.mark.parametrize(
    ("age_days", "plan", "tier"),
    [(3, True, Tier.EDGE_MODEL), (9, True, Tier.RULES), (9, False, Tier.EDGE_MODEL),
     (15, False, Tier.RULES), (29, False, Tier.RULES)],
)  # fmt: skip
async def test_age_and_missing_tables_raise_the_thresholds(
    tmp_path: Path, age_days: int, plan: bool, tier: Tier
) -> None:
    async with box(tmp_path) as opened:
        book = features_bundle(tmp_path / "f", as_of=NOW - timedelta(days=age_days), plan=plan)
        await opened.activate(rules_bundle(tmp_path), book, price_bundle(tmp_path / "m"))
        result = await opened.result(basket(["sure-yes"]))
    assert result.lines[0].tier is tier


async def test_age_is_judged_at_the_baskets_own_time(store: Box) -> None:
    store.clock.pass_by(timedelta(days=3000))
    assert (await store.result(basket(["sure-yes"]))).lines[0].tier is Tier.EDGE_MODEL
    late = basket(["sure-yes"], at=NOW + timedelta(days=60))
    decision = await store.decide(late)
    assert decision.results[0].lines[0].tier is Tier.RULES
    assert stage(decision, "edge") is StageResult.NOT_ALLOWED
    assert decision.results[0].mode is Mode.CLOUD_ASSISTED
    ages = {a.kind: a.age for a in decision.artifacts}
    assert ages["rules"] == timedelta(days=62)


async def test_a_stale_book_that_decided_is_named(tmp_path: Path) -> None:
    async with box(tmp_path) as opened:
        await opened.activate(
            rules_bundle(tmp_path),
            features_bundle(tmp_path / "f", as_of=NOW - timedelta(days=9), plan=False),
            price_bundle(tmp_path / "m"),
        )
        result = await opened.result(basket([line(1, "sure-yes", loyalty=5)]))
    assert [reason.code for reason in result.reasons] == ["MODEL_STALE_USED"]


async def test_the_pin_keeps_rules_and_only_lets_the_mode_fall(
    store: Box, deep: ScriptedDeep, tmp_path: Path
) -> None:
    first = await store.decide(basket(["maybe"]))
    pin = read_pin(first.basket_pin)
    assert pin is not None
    assert pin.mode is Mode.FULL
    await store.activate(rules_bundle(tmp_path, version="1.1.0"))
    deep.trouble = "WAN_DOWN"
    store.watch.look()
    second = await store.decide(basket(["maybe"], basket_pin=first.basket_pin))
    assert second.artifacts[0].version == "1.0.0"
    deep.trouble = ""
    store.watch.look()
    third = await store.decide(basket(["maybe"], basket_pin=second.basket_pin))
    assert third.results[0].mode is Mode.LOCAL_ONLY
    assert third.notices == ()
    fresh = await store.decide(basket(["maybe"]))
    assert (fresh.results[0].mode, fresh.artifacts[0].version) == (Mode.FULL, "1.1.0")


async def test_a_pin_of_rules_that_are_gone_is_repinned(store: Box, tmp_path: Path) -> None:
    first = await store.decide(basket(["maybe"]))
    old = store.holdings.active.rules
    assert old is not None
    await store.activate(rules_bundle(tmp_path, version="1.1.0"))
    await store.holdings.unload(old.digest)
    second = await store.decide(basket(["maybe"], basket_pin=first.basket_pin))
    assert [notice.code for notice in second.notices] == ["RULES_REPINNED"]
    assert second.artifacts[0].version == "1.1.0"


async def test_a_pin_lapses_and_an_unreadable_one_is_ignored(store: Box, tmp_path: Path) -> None:
    first = await store.decide(basket(["maybe"]))
    await store.activate(rules_bundle(tmp_path, version="1.1.0"))
    store.clock.pass_by(timedelta(minutes=31))
    for pin in (first.basket_pin, b"", b"\xff" * 42, b"short"):
        decision = await store.decide(basket(["maybe"], basket_pin=pin))
        assert decision.artifacts[0].version == "1.1.0"
        assert decision.notices == ()


async def test_the_same_request_gives_the_stored_bytes(store: Box) -> None:
    body = request(basket(["maybe"]))
    first = await store.engine.evaluate(body, None)
    store.clock.pass_by(timedelta(hours=1))
    again = await store.engine.evaluate(body, None)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.response == first.response
    assert len(store.journal()) == 1


async def test_the_same_id_with_another_body_is_refused(store: Box) -> None:
    await store.engine.evaluate(request(basket(["maybe"]), request_id="one"), None)
    with pytest.raises(RequestError, match="another body") as caught:
        await store.engine.evaluate(request(basket(["sure-yes"]), request_id="one"), None)
    assert caught.value.field == "request_id"


async def test_two_equal_requests_in_flight_are_computed_once(
    store: Box, deep: ScriptedDeep
) -> None:
    async def slowly(question: DeepQuestion) -> DeepAnswer:
        await asyncio.sleep(0.02)
        return await says(0.95, question)

    deep.reply = slowly
    body = request(basket(["maybe"]))
    answers = await asyncio.gather(*(store.engine.evaluate(body, None) for _ in range(5)))
    assert len({answer.response for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert len(deep.questions) == len(store.journal()) == 1


async def test_a_caller_that_goes_away_leaves_its_twin_an_answer(
    store: Box, deep: ScriptedDeep
) -> None:
    async def slowly(question: DeepQuestion) -> DeepAnswer:
        await asyncio.sleep(0.02)
        return await says(0.95, question)

    deep.reply = slowly
    body = request(basket(["maybe"]))
    first = asyncio.create_task(store.engine.evaluate(body, None))
    await asyncio.sleep(0.005)
    second = asyncio.create_task(store.engine.evaluate(body, None))
    await asyncio.sleep(0.005)
    first.cancel()
    assert not (await second).replayed


async def test_answers_are_forgotten_after_a_day(store: Box) -> None:
    body = request(basket(["maybe"]))
    first = decision_from_pb(await store.raw(body))
    store.clock.pass_by(timedelta(hours=25))
    assert store.engine.decision(first.decision_id) is None
    assert not (await store.engine.evaluate(body, None)).replayed


async def test_an_unknown_workflow_is_approved_beside_the_known_ones(store: Box) -> None:
    asked = ("horoscope", "price_check")
    decision = await store.decide(basket(["maybe"]), *asked)
    assert tuple(result.workflow for result in decision.results) == asked
    bundle = store.holdings.active.rules
    assert isinstance(bundle, FallbackBundle)
    (alone,) = bundle.decide(basket(["maybe"]), asked[:1], NOW, RedemptionView())
    assert projection(decision.results[0]) == projection(alone)
    assert decision.results[0].place is Place.GATEWAY
    assert decision.results[1].lines
    (only,) = (await store.decide(basket([]), "horoscope")).results
    assert only.verdict is Verdict.APPROVE


async def test_a_deadline_that_has_passed_is_an_error(store: Box) -> None:
    with pytest.raises(DeadlineError):
        await store.engine.evaluate(request(basket([])), timedelta(0))


async def test_a_box_without_rules_says_so_and_blocks_nothing(tmp_path: Path) -> None:
    async with box(tmp_path) as opened:
        decision = await opened.decide(basket(["maybe"]), "price_check", "whatever")
    assert decision.verdict is Verdict.APPROVE
    assert {r.reasons[0].code for r in decision.results} == {"RULES_UNAVAILABLE"}


async def test_a_card_number_is_neither_kept_nor_answered(store: Box) -> None:
    message = encode_request("card", basket(["maybe"]), ["price_check"])
    message.basket.transaction.operator_id = "4111111111111111"
    decision = decision_from_pb(await store.raw(message.SerializeToString()))
    assert [notice.code for notice in decision.notices] == ["CARD_NUMBER_REDACTED"]
    (record,) = store.journal()
    assert b"4111111111111111" not in record.SerializeToString()


async def test_the_journal_holds_what_replays_the_decision(store: Box) -> None:
    body = request(basket(["sure-yes", "maybe"]))
    answer = await store.engine.evaluate(body, None)
    (record,) = store.journal()
    assert (record.request, record.response) == (body, answer.response)
    edge, deep_rows = record.scored
    assert list(edge.line_numbers) == [1, 2]
    assert np.frombuffer(edge.scores, "<f4").tolist() == pytest.approx([0.99, 0.5])
    assert len(np.frombuffer(edge.rows, "<f4")) == 12
    assert list(deep_rows.line_numbers) == [2]


async def test_overload_is_the_rules_answer_and_never_the_clouds(
    store: Box, deep: ScriptedDeep
) -> None:
    bodies = [request(basket(["maybe", "sure-yes"])) for _ in range(100)]
    answers = await asyncio.gather(*(store.raw(body) for body in bodies))
    decisions = [decision_from_pb(answer) for answer in answers]
    shed = [d for d in decisions if [n.code for n in d.notices] == ["OVERLOADED"]]
    assert len(shed) == 100 - 64
    assert {d.results[0].tier for d in shed} == {Tier.RULES}
    assert {stage(d, "deep") for d in shed} == {StageResult.SKIPPED_NO_TIME}
    assert len(deep.questions) <= 64
    assert store.admission.inside == 0


async def test_a_lane_with_tiny_deadlines_takes_nothing_from_the_others(store: Box) -> None:
    for _ in range(30):
        await store.raw(request(basket(["maybe"] * 20)), timedelta(microseconds=500))
        store.clock.pass_by(timedelta(seconds=1))
    assert store.admission.limit == 64


async def test_large_baskets_wait_in_bounds_and_nobody_pays_for_the_rest(store: Box) -> None:
    large = [request(basket(["maybe"] * 2000), budget=timedelta(seconds=2)) for _ in range(12)]
    outcomes = await asyncio.gather(
        *(store.engine.evaluate(body, None) for body in large), return_exceptions=True
    )
    refused = [body for body, o in zip(large, outcomes, strict=True) if isinstance(o, Exception)]
    assert {type(o) for o in outcomes if isinstance(o, Exception)} == {OverloadedError}
    assert len(refused) == 12 - 4
    assert (await store.result(basket(["sure-yes"]))).tier is Tier.EDGE_MODEL
    assert not (await store.engine.evaluate(refused[0], None)).replayed
    assert store.admission.inside == 0


async def test_a_slow_workflow_is_pending_and_fetched_later(tmp_path: Path) -> None:
    async def slowly(question: DeepQuestion) -> DeepAnswer:
        await asyncio.sleep(0.15)
        return await says(0.95, question)

    patient = {
        "interactive": False, "budget_ms": 2000,
        "stages_ms": {"features": 5, "edge": 10, "deep": 1500},
    }  # fmt: skip
    async with box(tmp_path, deep=ScriptedDeep(slowly)) as opened:
        await opened.activate(
            rules_bundle(tmp_path, policy=policy(price_check=patient)),
            features_bundle(tmp_path / "f"),
            price_bundle(tmp_path / "m"),
        )
        first = await opened.decide(basket(["maybe"]), "price_check", "age_check")
        assert [result.pending for result in first.results] == [True, False]
        assert first.results[0].tier is Tier.RULES
        assert first.budget == timedelta(milliseconds=60)
        await asyncio.sleep(0.3)
        now = opened.engine.decision(first.decision_id)
        assert now is not None
        moved = decision_from_pb(pb.EvaluateResponse.FromString(now))
        written, followed = opened.journal()
    assert moved.decision_id == first.decision_id
    assert (moved.results[0].pending, moved.results[0].tier) == (False, Tier.DEEP_MODEL)
    assert (followed.request, followed.request_sha256) == (written.request, written.request_sha256)
    assert followed.response == now


async def test_a_defect_in_what_is_answered_later_ends_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def unspeakable(question: DeepQuestion) -> DeepAnswer:
        # No protobuf can carry it: the answer's bytes cannot be made.
        return DeepAnswer(scores=np.array([0.9], np.float32), item_ids=("\ud800",))

    later = {
        "tiers": ["edge_model", "deep_model", "rules"],
        "edge_model": "basket_rec_edge",
        "deep_model": "basket_rec_deep",
        "deep_bands": [],
        "influence": ["recommendations"],
        "interactive": False,
    }
    async with box(tmp_path, deep=ScriptedDeep(unspeakable)) as opened:
        await opened.activate(
            rules_bundle(tmp_path, policy=policy(recommendation=later)),
            cart_bundle(tmp_path / "cart"),
        )
        known = basket(["item-003"], loyalty_token="household-1")
        for _ in range(3):
            first = await opened.decide(known, "recommendation")
            await asyncio.sleep(0.02)
            stands = opened.engine.decision(first.decision_id)
            assert stands is not None
            assert decision_from_pb(pb.EvaluateResponse.FromString(stands)) == first
        assert (await opened.decide(basket(["x"]), "age_check")).results
    written = [found for found in caplog.records if found.exc_info]
    assert [found.getMessage() for found in written] == ["a pending decision stays as it was"]


async def test_recommendations_come_from_the_cart_model_and_the_best_sellers(
    tmp_path: Path,
) -> None:
    model = {
        "tiers": ["edge_model", "rules"],
        "edge_model": "basket_rec_edge",
        "influence": ["recommendations"],
    }
    async with box(tmp_path) as opened:
        await opened.activate(
            rules_bundle(tmp_path, policy=policy(recommendation=model)),
            cart_bundle(tmp_path / "cart"),
        )
        found = await opened.result(basket(["item-049", "item-003"]), "recommendation")
        unknown = await opened.result(basket(["nothing"]), "recommendation")
    assert [r.item_id for r in found.recommendations] == ["item-048", "item-047", "item-046"]
    assert found.tier is Tier.EDGE_MODEL
    assert [r.item_id for r in unknown.recommendations] == ["best-1", "best-2", "best-3"]
    assert unknown.tier is Tier.RULES


async def test_a_known_household_is_recommended_by_the_cloud(tmp_path: Path) -> None:
    async def recommends(question: DeepQuestion) -> DeepAnswer:
        return DeepAnswer(scores=np.array([0.9, 0.8], np.float32), item_ids=("item-003", "deep-1"))

    both = {
        "tiers": ["edge_model", "deep_model", "rules"],
        "edge_model": "basket_rec_edge",
        "deep_model": "basket_rec_deep",
        "deep_bands": [],
        "influence": ["recommendations"],
    }
    deep = ScriptedDeep(recommends)
    async with box(tmp_path, deep=deep) as opened:
        await opened.activate(
            rules_bundle(tmp_path, policy=policy(recommendation=both)),
            cart_bundle(tmp_path / "cart"),
        )
        known = basket(["item-003"], loyalty_token="household-1")
        found = await opened.result(known, "recommendation")
        stranger = await opened.result(basket(["item-003"]), "recommendation")
    assert [r.item_id for r in found.recommendations] == ["deep-1", "best-1", "best-2"]
    assert (found.tier, found.place) == (Tier.DEEP_MODEL, Place.CLOUD)
    assert stranger.tier is Tier.EDGE_MODEL
    assert [q.loyalty_token for q in deep.questions] == ["household-1"]


@pytest.mark.parametrize(
    ("items", "verdict", "codes", "tier"),
    [
        (["sure-no"], Verdict.APPROVE, [], Tier.EDGE_MODEL),
        (["sure-no", "sure-yes"], Verdict.REVIEW, ["SCORE_HIGH"], Tier.EDGE_MODEL),
        (["sure-no", "maybe"], Verdict.APPROVE, ["SCORE_BORDERLINE"], Tier.RULES),
    ],
)
async def test_an_unusual_line_is_flagged_by_its_score(
    tmp_path: Path, items: list[str], verdict: Verdict, codes: list[str], tier: Tier
) -> None:
    anomaly = {
        "kind": "transaction_scoring",
        "budget_ms": 80,
        "tiers": ["edge_model", "rules"],
        "edge_model": "promo_price_edge",
        "edge_bands": [{"age_days_max": 7, "low": 0.1, "high": 0.9}],
        "influence": ["review_flag"],
    }
    async with box(tmp_path) as opened:
        await opened.activate(
            rules_bundle(tmp_path, policy=policy(transaction_scoring=anomaly)),
            features_bundle(tmp_path / "f"),
            price_bundle(tmp_path / "m"),
        )
        result = await opened.result(basket(items), "transaction_scoring")
    assert (result.verdict, result.tier) == (verdict, tier)
    assert [reason.code for reason in result.reasons] == codes
    assert result.score == pytest.approx(
        max({"sure-no": 0.01, "maybe": 0.5}.get(i, 0.99) for i in items)
    )


async def test_the_queue_is_estimated_from_what_the_box_sees(tmp_path: Path) -> None:
    observed = {
        "tiers": ["edge_model", "rules"],
        "edge_model": "observed_arrivals",
        "influence": ["outputs"],
    }
    async with box(tmp_path) as opened:
        await opened.activate(rules_bundle(tmp_path, policy=policy(queue_estimate=observed)))
        opened.watch.look()
        profile = await opened.result(None, "queue_estimate")
        assert profile.tier is Tier.RULES
        for number in range(12):
            whole = basket(["maybe"], at=NOW - timedelta(seconds=40 * number))
            ref = replace(whole.transaction, sequence_number=number)
            await opened.decide(replace(whole, transaction=ref))
        seen = await opened.result(None, "queue_estimate")
    outputs = {value.name: value.int_value for value in seen.outputs}
    assert seen.tier is Tier.EDGE_MODEL
    assert (outputs["arrivals_per_hour"], outputs["lanes"]) == (72, 1)
    assert outputs["waiting_s"] > 0
