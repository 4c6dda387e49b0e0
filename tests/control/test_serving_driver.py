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
from cloud_sync.errors import HostRefusedError, HostUnavailableError
from cloud_sync.inbox import Inbox
from cloud_sync.records import SaleEnd
from gateway.serving_driver import ServingDriver
from gateway.serving_link import ServingLink
from terminal_client.core.modes import Mode
from terminal_client.core.trust import Release
from tests.control.conftest import Clock
from tests.control.fake_serving import FakeServing, fake_serving, until
from tests.control.records_made import decision, facts, journal, outcome, spool


class Artifacts:
    """What should decide: one rules bundle, driven straight to the socket."""

    def __init__(self, link: ServingLink, path: Path) -> None:
        self.link = link
        self.path = path

    async def restore(self, serving: Mapping[tuple[str, str], str]) -> None:
        release = Release(
            channel="rules", name="store", version="1", kind="rules", digest="d", length=1
        )
        if serving.get(("rules", "store")) != "d":
            await self.link.stage(release, self.path)
            await self.link.canary("d")
            await self.link.flip("d")


class Bench:
    def __init__(self, folder: Path, link: ServingLink, archive: Archive, clock: Clock) -> None:
        self.socket = folder / "serving.sock"
        self.moved = 0
        self.driver = ServingDriver(
            serving=link,
            views=archive,
            artifacts=Artifacts(link, folder),
            clock=clock,
            keep=timedelta(hours=24),
            cap_bytes=10**6,
            host_moved=self._count,
        )

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
            "redemptions",
            "store log",
            "stage rules 1",
            "canary rules 1",
            "flip rules 1",
            "answers",
        ]
        assert serving.log == {(20171127, "milk"): (2, 1)}
        assert serving.answers == ["r1", "later"]
        await until(lambda: driver.status is not None and driver.status.ready)
        assert bench.moved == 1


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
            assert serving.orders[-1] == "force MODE_UNSPECIFIED "


async def test_away_and_refused_are_told_apart(tmp_path: Path) -> None:
    async with ServingLink.open(tmp_path / "serving.sock") as link:
        with pytest.raises(HostUnavailableError):
            await link.status()
        async with fake_serving(tmp_path / "serving.sock"):
            await asyncio.sleep(0.6)
            with pytest.raises(HostRefusedError, match="not held"):
                await link.unload("nothing")
