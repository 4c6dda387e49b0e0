"""A store's network for one test: certificates, a signed tree, a box, and terminals."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from cloud_sync.publisher.repository import Repository
from terminal_client.client import TerminalClient
from terminal_client.config import (
    BreakerConfig,
    GatewayAddress,
    TerminalConfig,
    TlsConfig,
    TrustConfig,
    UpkeepConfig,
)
from terminal_client.redemption_ledger import RedemptionLedger
from terminal_client.spool import Spool
from terminal_client.uploader import UploadCounts
from tests.terminal.rules import rules_bundle
from tests.terminal.store_box import BoxFolder, StoreBox

ROOT = Path(__file__).resolve().parents[2]
QUICK = UpkeepConfig(interval_s=0.1, retry_s=0.1, call_timeout_s=2.0, trust_interval_s=30.0)


@dataclass(kw_only=True)
class Store:
    """One store. What it starts ends with the test."""

    path: Path
    repository: Repository
    exits: ExitStack
    gateways: tuple[GatewayAddress, ...] = ()
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> BoxFolder:
        return BoxFolder(path=self.path)

    def publish(self, version: str, raw: bytes | None = None) -> bytes:
        raw = rules_bundle(version) if raw is None else raw
        now = datetime.now(UTC)
        self.repository.publish("rules", "store", version, raw, now, now=now)
        self.repository.promote("fleet", "rules", "store", version, now=now)
        return raw

    def box(self, **options: Any) -> StoreBox:
        box = StoreBox(self.path, **options)
        self.exits.callback(box.stop)
        self._add(box.serving, box.control)
        return box

    def box_process(self, *faults: str) -> subprocess.Popen[str]:
        """Start the box as a process of its own, again on the same ports when called again."""
        fresh = not self.gateways
        for _ in range(3 if fresh else 1):
            if fresh:
                # Somebody else may take a free port before the box does.
                self.gateways = (nowhere(),)
            address = self.gateways[0]
            ports = [target.split(":")[1] for target in (address.serving, address.control)]
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.terminal.store_box", str(self.path), *ports, *faults],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.exits.callback(end, process)
            assert process.stdout is not None
            if process.stdout.readline().startswith("ready"):
                return process
        pytest.fail("the box does not start")

    def config(self, name: str = "lane-1", **changes: Any) -> TerminalConfig:
        tls = self.path / "tls"
        config = TerminalConfig(
            workstation_id=name,
            gateways=self.gateways or (nowhere(),),
            tls=TlsConfig(
                ca=tls / "ca.pem", certificate=tls / "client.pem", key=tls / "client.key"
            ),
            trust=TrustConfig(root=self.path / "tree/metadata/1.root.json"),
            state_dir=self.path / name,
            breaker=BreakerConfig(minimum=1000, window=1000),
            upkeep=QUICK,
        )
        return replace(config, **(self.changes | changes))

    def terminal(self, name: str = "lane-1", **changes: Any) -> TerminalClient:
        client = TerminalClient.open(self.config(name, **changes))
        self.exits.callback(client.close)
        return client

    def ready_terminal(self, name: str = "lane-1", **changes: Any) -> TerminalClient:
        """Return a terminal that has its rules."""
        client = self.terminal(name, **changes)
        until(lambda: client.status().bundle is not None)
        return client

    def _add(self, serving: int, control: int) -> None:
        address = GatewayAddress(serving=f"127.0.0.1:{serving}", control=f"127.0.0.1:{control}")
        self.gateways += (address,)


def spool_of(client: TerminalClient) -> Spool:
    spool = client._state.spool
    assert spool is not None
    return spool


def ledger_of(client: TerminalClient) -> RedemptionLedger:
    ledger = client._state.ledger
    assert ledger is not None
    return ledger


def uploads(client: TerminalClient) -> UploadCounts:
    counts = client.status().uploads
    assert counts is not None
    return counts


def nowhere() -> GatewayAddress:
    """Return an address where nothing listens."""
    serving, control = free_ports(2)
    return GatewayAddress(serving=f"127.0.0.1:{serving}", control=f"127.0.0.1:{control}")


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until ``true`` holds; fail the test when it does not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


def write_certificates(folder: Path) -> None:
    """Write the store's CA, a server's and a client's certificate, and a stranger's of each."""
    folder.mkdir()
    store, stranger = trustme.CA(), trustme.CA()
    store.cert_pem.write_to_path(folder / "ca.pem")
    stranger.cert_pem.write_to_path(folder / "stranger-ca.pem")
    for prefix, ca in (("", store), ("stranger-", stranger)):
        for name, identity in (("server", "127.0.0.1"), ("client", "lane-1.store")):
            issued = ca.issue_cert(identity)
            issued.private_key_pem.write_to_path(folder / f"{prefix}{name}.key")
            for number, pem in enumerate(issued.cert_chain_pems):
                pem.write_to_path(folder / f"{prefix}{name}.pem", append=number > 0)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    write_certificates(folder / "tls")
    now = datetime.now(UTC)
    repository = Repository.init(folder / "tree", folder / "keys", now=now)
    repository.publish("rules", "store", "1.0.0", rules_bundle("1.0.0"), now, now=now)
    repository.promote("fleet", "rules", "store", "1.0.0", now=now)
    return folder


@pytest.fixture
def store(prepared: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    with ExitStack() as exits:
        repository = Repository.open(tmp_path / "tree", tmp_path / "keys")
        yield Store(path=tmp_path, repository=repository, exits=exits)
