"""Opens the demo's store: signs its first bundles, starts cloud, gateway and registers."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from examples.complete_journey.demo.machinery import (
    Gateway,
    LaneProcess,
    Process,
    free_ports,
    running,
)
from examples.complete_journey.demo.pki import Authority, Identity
from examples.complete_journey.demo.publishing import MODELS, RING, Desk
from examples.complete_journey.demo.receipts import Receipt, receipts
from examples.complete_journey.demo.settings import gateway_toml, lane_toml
from examples.complete_journey.demo.wan import Wan
from examples.complete_journey.replay import read_replay
from posgate.v1 import decision_pb2
from terminal_client.core.fallback import FallbackBundle

LANES = ("lane-1", "lane-2", "lane-3", "lane-4")
FOLDED_WEEK = 47
"""The folded year lays a year on one day; it runs on this week's bundles."""


@dataclass(kw_only=True)
class Store:
    """Everything that is running, and what the driver has done to it."""

    folder: Path
    desk: Desk
    cloud: Process
    wans: tuple[Wan, Wan]
    gateway: Gateway
    lanes: tuple[LaneProcess, ...]
    replay: list[Receipt]
    judge: FallbackBundle
    redeemed: set[str] = field(default_factory=set)
    wan_up: bool = True
    gateway_up: bool = True
    outcomes_sent: int = 0
    restart_ms: float | None = None


def versions_of(week: int) -> dict[str, str]:
    """Return which artifacts decide once the bundles of ``week`` have arrived."""
    return {**dict.fromkeys(MODELS, "1.0.0"), "book": f"1.{week}.0", "rules": f"1.{week}.0"}


@asynccontextmanager
async def open_store(folder: Path, kind: str, console: Console) -> AsyncIterator[Store]:
    """Open cloud, gateway and registers; the first week's bundles decide when it yields."""
    _empty(folder)
    authority = Authority.create(folder / "pki")
    identities = {name: authority.issue(name) for name in ("cloud", "gateway", *LANES)}
    desk = Desk(folder / "cloud", folder / "keys")
    (folder / "root.json").write_bytes(desk.root)
    replay = receipts(read_replay("folded" if kind == "folded" else "calendar"))
    week = min(receipt.week for receipt in replay) if kind == "calendar" else FOLDED_WEEK
    with console.status("signing the store's bundles"):
        await asyncio.to_thread(desk.publish_models)
        judge = await asyncio.to_thread(desk.publish_week, week)
    async with AsyncExitStack() as stack:
        cloud, http_port, deep_port = await _cloud(stack, folder, authority, identities["cloud"])
        wans = (
            await stack.enter_async_context(Wan.open(http_port)),
            await stack.enter_async_context(Wan.open(deep_port)),
        )
        ports = free_ports(3)
        config = folder / "posgate.toml"
        config.write_text(
            gateway_toml(folder, authority.ca, identities["gateway"], RING, ports, wans)
        )
        gateway = Gateway(config, folder / "run", folder / "logs" / "gateway.log")
        stack.push_async_callback(gateway.stop)
        with console.status("starting the gateway"):
            await gateway.start()
            await gateway.wait_for(versions_of(week), decision_pb2.MODE_FULL)
        lanes = await _lanes(stack, folder, authority, identities, ports, kind)
        yield Store(
            folder=folder,
            desk=desk,
            cloud=cloud,
            wans=wans,
            gateway=gateway,
            lanes=lanes,
            replay=replay,
            judge=judge,
        )


def _empty(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    for part in ("calls", "logs"):
        (folder / part).mkdir(parents=True)


async def _cloud(
    stack: AsyncExitStack, folder: Path, authority: Authority, identity: Identity
) -> tuple[Process, int, int]:
    command = [sys.executable, "-m", "examples.complete_journey.demo.cloud"]
    command += ["--tree", str(folder / "cloud"), "--ca", str(authority.ca)]
    command += ["--cert", str(identity.certificate), "--key", str(identity.key)]
    cloud = await stack.enter_async_context(
        running("cloud", command, folder / "logs" / "cloud.log")
    )
    _, http_port, deep_port = (await cloud.hear()).split()
    return cloud, int(http_port), int(deep_port)


async def _lanes(
    stack: AsyncExitStack,
    folder: Path,
    authority: Authority,
    identities: dict[str, Identity],
    ports: Sequence[int],
    kind: str,
) -> tuple[LaneProcess, ...]:
    lanes = []
    for name in LANES:
        config = folder / f"{name}.toml"
        config.write_text(lane_toml(folder, name, authority.ca, identities[name], RING, ports))
        command = [sys.executable, "-m", "examples.complete_journey.demo.lane", "--name", name]
        command += ["--config", str(config), "--replay", kind]
        command += ["--calls", str(folder / "calls" / f"{name}.jsonl")]
        process = await stack.enter_async_context(
            running(name, command, folder / "logs" / f"{name}.log")
        )
        await process.hear()
        lanes.append(LaneProcess(process))
    return tuple(lanes)
