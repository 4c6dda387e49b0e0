"""The demo from beginning to end: a store's seven weeks, with the WAN pulled in the middle."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from examples.complete_journey.artifacts import DEMO_STORE
from examples.complete_journey.demo.books import compare
from examples.complete_journey.demo.lane import coupon_verdicts, planned_calls
from examples.complete_journey.demo.machinery import LaneProcess
from examples.complete_journey.demo.publishing import EDGE_MODEL
from examples.complete_journey.demo.receipts import Receipt, as_basket
from examples.complete_journey.demo.record_reading import read_calls
from examples.complete_journey.demo.records import (
    Machine,
    RunFacts,
    Settlement,
    write_facts,
)
from examples.complete_journey.demo.reports import write_reports
from examples.complete_journey.demo.schedule import GATEWAY_DEAD, WAN_CUT, Day, days
from examples.complete_journey.demo.store import FOLDED_WEEK, LANES, Store, open_store, versions_of
from posgate.v1 import decision_pb2
from terminal_client.core.redemptions import RedemptionView

_PACKAGES = ("posgate", "grpcio", "onnxruntime-gpu", "protobuf", "cryptography", "tuf")
_DRAIN_S = 20.0
_NEXT_CUSTOMER_S = 0.05


async def run(folder: Path, *, kind: str, console: Console) -> bool:
    """Play the whole demo; return whether all its claims hold."""
    started, began_s = datetime.now(UTC), time.monotonic()
    async with open_store(folder, kind, console) as store:
        plan = list(days(store.replay)) if kind == "calendar" else [_one_day(store.replay)]
        with Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[world]}"),
            TimeElapsedColumn(),
            console=console,
        ) as progress:
            task = progress.add_task("opening", total=len(store.replay), world="")
            week = plan[0].week
            for day in plan:
                if kind == "calendar":
                    await _turn(store, day, new_week=day.week != week)
                    week = day.week
                progress.update(task, description=f"{day.date:%a %d %b}", world=_words(store))
                await _play(store, day)
                progress.update(task, advance=len(day.receipts))
        facts = await _close(store, kind, started, began_s)
    write_facts(folder / "run.json", facts)
    calls = read_calls(folder / "calls" / f"{lane}.jsonl" for lane in LANES)
    return write_reports(calls, facts, folder, console)


async def _turn(store: Store, day: Day, *, new_week: bool) -> None:
    """Bring the world to the morning of ``day``: the week's bundles first, then the trouble."""
    if new_week:
        await asyncio.to_thread(store.desk.publish_week, day.week)
        if store.gateway_up and store.wan_up:
            await store.gateway.wait_for(versions_of(day.week), decision_pb2.MODE_FULL)
    await _turn_wan(store, day)
    if store.gateway_up and not day.gateway_up:
        await store.gateway.kill()
        store.gateway_up = False
    elif day.gateway_up and not store.gateway_up:
        began_s = time.monotonic()
        await store.gateway.start()
        await store.gateway.wait_for({EDGE_MODEL: "1.0.0"}, decision_pb2.MODE_LOCAL_ONLY)
        store.restart_ms = (time.monotonic() - began_s) * 1000
        store.gateway_up = True


async def _turn_wan(store: Store, day: Day) -> None:
    if store.wan_up and not day.wan_up:
        for wan in store.wans:
            wan.cut()
        store.wan_up = False
    elif day.wan_up and not store.wan_up:
        for wan in store.wans:
            wan.restore()
        store.wan_up = True
        await store.gateway.wait_for(versions_of(day.week), decision_pb2.MODE_FULL)


async def _play(store: Store, day: Day) -> None:
    """Ring up the day's receipts, four lanes at a time, and close the day's books."""
    queues: list[list[dict[str, Any]]] = [[] for _ in store.lanes]
    for position, index in enumerate(day.receipts):
        queues[position % len(queues)].append(_order(store, index))

    async def ring_up(lane: LaneProcess, orders: list[dict[str, Any]]) -> None:
        for order in orders:
            await lane.ask(order)
            store.outcomes_sent += 1
            await asyncio.sleep(_NEXT_CUSTOMER_S)

    async with asyncio.TaskGroup() as group:
        for lane, orders in zip(store.lanes, queues, strict=True):
            group.create_task(ring_up(lane, orders))
    if store.gateway_up and day.receipts:
        await _settle(store)


def _order(store: Store, index: int) -> dict[str, Any]:
    """Return the order to play a receipt, with what its coupons must come to."""
    basket = as_basket(store.replay[index], LANES[0])
    assert basket.evaluation_time is not None
    view = RedemptionView(keys=frozenset(store.redeemed), as_of=basket.evaluation_time)
    (result,) = store.judge.decide(basket, ["promotion_validation"], basket.evaluation_time, view)
    store.redeemed |= {offer.redemption_key for offer in result.offers if offer.redemption_key}
    return {
        "play": index,
        "wan_up": store.wan_up,
        "gateway_up": store.gateway_up,
        "expected": [
            [verdict.coupon_ref, verdict.status, verdict.reason]
            for verdict in coupon_verdicts(result.offers)
        ],
    }


async def _settle(store: Store) -> list[dict[str, Any]]:
    """Wait until every register has uploaded everything."""
    return list(await asyncio.gather(*(lane.ask({"settle": True}) for lane in store.lanes)))


async def _close(store: Store, kind: str, started: datetime, began_s: float) -> RunFacts:
    """Let everything settle and compare both sides' books."""
    lanes = await _settle(store)
    for lane in store.lanes:
        await lane.close()
    store.cloud.hang_up()
    deep_calls = int((await store.cloud.hear()).split()[1])
    calls = list(read_calls(store.folder / "calls" / f"{lane}.jsonl" for lane in LANES))
    until = time.monotonic() + _DRAIN_S
    database = store.folder / "state" / "inbox.sqlite3"
    settle = compare(database, calls, store.outcomes_sent)
    while _unsettled(settle) and time.monotonic() < until:
        await asyncio.sleep(0.2)
        settle = compare(database, calls, store.outcomes_sent)
    calendar = kind == "calendar"
    return RunFacts(
        started=started,
        finished=datetime.now(UTC),
        wall_s=time.monotonic() - began_s,
        replay=kind,
        store=DEMO_STORE,
        weeks=tuple(sorted({receipt.week for receipt in store.replay})),
        lanes=LANES,
        calls_planned=planned_calls(store.replay),
        wan_cut=WAN_CUT if calendar else None,
        gateway_dead=GATEWAY_DEAD if calendar else None,
        first_answer_after_restart_ms=store.restart_ms,
        deep_calls=deep_calls,
        answers_compared=sum(lane["compared"] for lane in lanes),
        answers_agreed=sum(lane["agreed"] for lane in lanes),
        settle=settle,
        processes=("cloud", "serving", "control", *LANES),
        versions={package: version(package) for package in _PACKAGES},
        machine=Machine(
            cpu_count=os.cpu_count() or 1,
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
        ),
    )


def _unsettled(settle: Settlement) -> bool:
    return settle.decisions_lost > 0 or settle.outcomes_recorded < settle.outcomes_sent


def _one_day(replay: list[Receipt]) -> Day:
    """Return the whole replay as one day with everything up."""
    return Day(
        date=min(receipt.basket.local_time for receipt in replay).date(),
        week=FOLDED_WEEK,
        receipts=tuple(range(len(replay))),
    )


def _words(store: Store) -> str:
    wan = "WAN up" if store.wan_up else "[red]WAN down[/red]"
    return wan if store.gateway_up else f"{wan}, [red]gateway dead[/red]"
