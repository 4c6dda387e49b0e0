"""Serving is brought into step over the real socket, whoever restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cloud_sync.archive import Archive
from cloud_sync.database import Database
from cloud_sync.errors import HostRefusedError, HostUnavailableError, StoreUnavailableError
from cloud_sync.inbox import Inbox
from cloud_sync.records import Batch, SaleEnd
from gateway.ordered_mode import OrderedMode
from gateway.serving_driver import ServingDriver
from gateway.serving_link import ServingLink
from terminal_client.core.modes import Mode
from terminal_client.core.trust import Release
from tests.control.conftest import Clock
from tests.control.fake_serving import FakeServing, fake_serving, until
from tests.control.records_made import decision, facts, journal, outcome, spool

RULES = Release(channel="rules", name="store", version="1", kind="rules", digest="d", length=1)
MODEL = Release(channel="models", name="price", version="2", kind="model", digest="m", length=1)


class Artifacts:
    """What should decide: rules, and a model if wanted, driven straight to the socket."""

    def __init__(self, link: ServingLink, path: Path) -> None:
        self.link = link
        self.path = path
        self.wanted = [RULES]

    async def restore(
        self, serving: Mapping[tuple[str, str], str], *, rules_only: bool = False
    ) -> bool:
        for release in self.wanted[:1] if rules_only else self.wanted:
            if serving.get((release.kind, release.name)) != release.digest:
                try:
                    await self.link.stage(release, self.path)
                    await self.link.canary(release.digest)
                    await self.link.flip(release.digest)
                except HostRefusedError:
                    return False
        return True


class Bench:
    def __init__(self, folder: Path, link: ServingLink, archive: Archive, clock: Clock) -> None:
        self.socket = folder / "serving.sock"
        self.moved = 0
        self.artifacts = Artifacts(link, folder)
        self.in_journal: list[Batch] = []
        self.inbox: Inbox | None = None
        self.driver = ServingDriver(
            serving=link,
            views=archive,
            artifacts=self.artifacts,
            order=OrderedMode(folder / "ordered_mode.json"),
            drain=self._drain,
            clock=clock,
            keep=timedelta(hours=24),
            cap_bytes=10**6,
            host_moved=self._count,
        )

    async def _drain(self) -> None:
        while self.in_journal:
            assert self.inbox is not None
            await self.inbox.accept_batch(self.in_journal.pop(0))

    def _count(self) -> None:
        self.moved += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ServingDriver]:
        task = asyncio.create_task(self.driver.run())
        try:
            yield self.driver
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def bench(tmp_path: Path, archive: Archive, clock: Clock) -> AsyncIterator[Bench]:
    async with ServingLink.open(tmp_path / "serving.sock") as link:
        yield Bench(tmp_path, link, archive, clock)


async def fill(inbox: Inbox) -> None:
    """Two decisions of this morning, one sold, one coupon used."""
    await inbox.accept_batch(journal(decision(1, about=facts(milk=(2, 1))), decision(2, "later")))
    await inbox.accept_batch(spool(decision(1, "alone", decision_id="lane")))
    await inbox.accept_outcomes(
        [outcome("o1", SaleEnd.COMPLETED, keys=("k",), decision_id="367-e1-1")]
    )


def in_step(serving: FakeServing) -> bool:
    return serving.complete and serving.redeemed == {"k"} and bool(serving.log)


async def test_a_start_of_serving_is_loaded_in_order(bench: Bench, inbox: Inbox) -> None:
    await fill(inbox)
    async with fake_serving(bench.socket) as serving, bench.running() as driver:
        await until(lambda: in_step(serving) and driver.status is not None)
        assert serving.orders == [
            "stage rules 1",
            "canary rules 1",
            "flip rules 1",
            "answers",
            "redemptions",
            "store log",
        ]
        assert serving.log == {(20171127, "milk"): (2, 1)}
        assert serving.answers == ["r1", "later"]
        await until(lambda: driver.status is not None and driver.status.ready)
        assert bench.moved == 1


async def test_the_last_answers_are_fetched_from_the_journal_first(
    bench: Bench, inbox: Inbox
) -> None:
    await fill(inbox)
    bench.inbox = inbox
    bench.in_journal = [journal(decision(3, "last"))]
    async with fake_serving(bench.socket) as serving:
        await bench.driver.look()
        assert serving.answers == ["r1", "later", "last"]


async def test_views_and_answers_do_not_wait_for_a_model(bench: Bench, inbox: Inbox) -> None:
    await fill(inbox)
    bench.artifacts.wanted.append(MODEL)
    async with fake_serving(bench.socket) as serving:
        serving.gate.clear()
        async with bench.running() as driver:
            await until(lambda: "stage model 2" in serving.orders and in_step(serving))
            await inbox.accept_outcomes([outcome("o2", SaleEnd.VOIDED, keys=("k",), minute=1)])
            driver.changed()
            await until(lambda: not serving.redeemed, 2)
            assert serving.active == {("rules", "store"): "d"}
            serving.gate.set()
            await until(lambda: serving.active.get(("model", "price")) == "m")


async def test_a_model_that_serving_refused_once_is_offered_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = (timedelta(seconds=0.05), timedelta(seconds=0.1))
    monkeypatch.setattr("gateway.serving_driver.ARTIFACT_PATIENCE", patience)
    bench.artifacts.wanted.append(MODEL)
    async with fake_serving(bench.socket) as serving:
        serving.refused.add("2")
        async with bench.running():
            await until(lambda: serving.orders.count("canary model 2") >= 2)
            serving.refused.clear()
            await until(lambda: serving.active.get(("model", "price")) == "m")


async def test_a_restarted_serving_is_loaded_again(bench: Bench, inbox: Inbox) -> None:
    await fill(inbox)
    async with bench.running() as driver:
        async with fake_serving(bench.socket, "first") as serving:
            await until(lambda: in_step(serving))
        await until(lambda: driver.status is None)
        assert "serving does not answer" in driver.problem
        async with fake_serving(bench.socket, "second") as serving:
            await until(lambda: in_step(serving) and driver.status is not None)
            assert serving.answers == ["r1", "later"]
            assert serving.active == {("rules", "store"): "d"}
    assert bench.moved == 2


async def test_a_restarted_control_repeats_nothing(
    bench: Bench, inbox: Inbox, archive: Archive, clock: Clock, tmp_path: Path
) -> None:
    await fill(inbox)
    async with fake_serving(bench.socket) as serving:
        async with bench.running():
            await until(lambda: in_step(serving))
        given = list(serving.orders)
        async with ServingLink.open(bench.socket) as link:
            again = Bench(tmp_path, link, archive, clock)
            await again.driver.look()
            assert again.driver.problem == ""
        assert serving.orders == given


async def test_changes_reach_serving_at_once_and_alone(bench: Bench, inbox: Inbox) -> None:
    await fill(inbox)
    async with fake_serving(bench.socket) as serving, bench.running() as driver:
        await until(lambda: in_step(serving))
        await until(lambda: driver.status is not None)
        serving.orders.clear()
        await inbox.accept_outcomes([outcome("o2", SaleEnd.VOIDED, keys=("k",), minute=1)])
        driver.changed()
        await until(lambda: not serving.redeemed and len(serving.orders) == 2, 2)
        assert serving.orders == ["redemptions", "store log"]
        assert serving.log == {(20171127, "milk"): (0, 0)}


async def test_a_quiet_view_is_confirmed_so_that_its_age_means_something(
    bench: Bench, clock: Clock
) -> None:
    async with fake_serving(bench.socket) as serving:
        await bench.driver.look()
        await bench.driver.look()
        assert serving.redemption_puts == 1
        clock.pass_by(timedelta(seconds=6))
        await bench.driver.look()
        assert serving.redemption_puts == 2


async def test_a_cursor_that_serving_has_from_elsewhere_starts_its_view_anew(
    bench: Bench, inbox: Inbox
) -> None:
    await fill(inbox)
    async with fake_serving(bench.socket) as serving:
        serving.redeemed, serving.redemption_cursor = {"stranger"}, 5
        serving.log, serving.store_log_cursor = {(1, "x"): (1, 1)}, 99
        await bench.driver.look()
        assert serving.redeemed == {"k"}
        assert serving.log == {(20171127, "milk"): (2, 1)}


async def test_with_the_disk_gone_serving_still_gets_what_decides(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "file").write_text("")
    socket = tmp_path / "serving.sock"
    async with (
        fake_serving(socket) as serving,
        ServingLink.open(socket) as link,
        Database.open(tmp_path / "file" / "db", "367") as database,
    ):
        bench = Bench(tmp_path, link, Archive(database), clock)
        await bench.driver.look()
        assert serving.active == {("rules", "store"): "d"}
        assert "answers" not in serving.orders
        assert bench.driver.status is not None
        assert "file" in bench.driver.problem
        (tmp_path / "file").unlink()
        await bench.driver.look()
        assert "answers" in serving.orders
        assert bench.driver.problem == ""


async def test_an_ordered_mode_survives_a_restart_of_serving(bench: Bench) -> None:
    async with bench.running() as driver:
        async with fake_serving(bench.socket, "first") as serving:
            await until(lambda: driver.status is not None)
            await driver.force_mode(Mode.EMERGENCY, "OPERATOR_FORCED")
            assert serving.orders[-1] == "force MODE_EMERGENCY OPERATOR_FORCED"
        async with fake_serving(bench.socket, "second") as serving:
            await until(lambda: "force MODE_EMERGENCY OPERATOR_FORCED" in serving.orders)
            await driver.force_mode(None, "")
            assert "force MODE_UNSPECIFIED " in serving.orders


async def test_an_ordered_mode_survives_a_restart_of_both(
    bench: Bench, archive: Archive, clock: Clock, tmp_path: Path
) -> None:
    async with fake_serving(bench.socket):
        await bench.driver.force_mode(Mode.EMERGENCY, "OPERATOR_FORCED")
    async with (
        fake_serving(bench.socket, "second") as serving,
        ServingLink.open(bench.socket) as link,
    ):
        again = Bench(tmp_path, link, archive, clock)
        await again.driver.look()
        assert serving.orders[0] == "force MODE_EMERGENCY OPERATOR_FORCED"
        await again.driver.force_mode(None, "")
        serving.orders.clear()
        third = Bench(tmp_path, link, archive, clock)
        await third.driver.look()
        assert not any(order.startswith("force") for order in serving.orders)


async def test_a_mode_that_nobody_orders_any_more_is_taken_back(bench: Bench) -> None:
    async with fake_serving(bench.socket) as serving:
        serving.degrade_reasons = ["OPERATOR_FORCED"]
        await bench.driver.look()
        assert serving.orders[0] == "force MODE_UNSPECIFIED "


async def test_an_order_that_the_disk_refuses_is_told_of(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "ordered_mode.json").mkdir()
    async with fake_serving(bench.socket) as serving:
        with pytest.raises(StoreUnavailableError, match="until a restart"):
            await bench.driver.force_mode(Mode.EMERGENCY, "OPERATOR_FORCED")
        assert serving.orders == ["force MODE_EMERGENCY OPERATOR_FORCED"]


def test_an_order_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    path = tmp_path / "ordered_mode.json"
    order = OrderedMode(path)
    assert order.read() is None
    order.write((Mode.LOCAL_ONLY, "OPERATOR_FORCED"))
    assert order.read() == (Mode.LOCAL_ONLY, "OPERATOR_FORCED")
    for raw in ("{", "[]", '{"schema": 1, "mode": "NONE", "reason": ""}'):
        path.write_text(raw)
        assert order.read() is None


async def test_away_and_refused_are_told_apart(tmp_path: Path) -> None:
    async with ServingLink.open(tmp_path / "serving.sock") as link:
        with pytest.raises(HostUnavailableError):
            await link.status()
        async with fake_serving(tmp_path / "serving.sock"):
            await asyncio.sleep(0.6)
            with pytest.raises(HostRefusedError, match="not held"):
                await link.unload("nothing")
