"""A real box for end-to-end tests: serving and control, each a process, behind real TLS.

Owns the box's configuration, its processes and the signals they get. Nothing in here knows what
a right answer is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import grpc

from examples.complete_journey.demo.machinery import environment, free_ports
from examples.complete_journey.demo.pki import Authority, Identity
from examples.complete_journey.demo.publishing import RING
from gateway.cli.admin_client import ask
from posgate.box.v1 import serving_pb2, serving_pb2_grpc
from posgate.v1 import decision_pb2
from terminal_client.config import (
    GatewayAddress,
    TerminalConfig,
    TlsConfig,
    TrustConfig,
    UpkeepConfig,
)

STORE = "367"
ROLES = ("serving", "control")
PATIENCE_S = 30.0
_PROBE_S = 1.0


class BoxError(Exception):
    """The box did not do what was waited for; the text says what, and where its logs are."""


@dataclass(kw_only=True)
class Box:
    """One box in ``folder``; ``tree_url`` and ``deep`` are its cloud (empty: none)."""

    folder: Path
    authority: Authority
    root: bytes
    tree_url: str = ""
    deep: str = ""
    ring: str = RING
    ports: list[int] = field(default_factory=lambda: free_ports(3))
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "root.json").write_bytes(self.root)
        self.identity = self.authority.issue("gateway")
        self.config.write_text(self._toml(), encoding="utf-8")

    @property
    def config(self) -> Path:
        return self.folder / "posgate.toml"

    @property
    def database(self) -> Path:
        return self.folder / "state" / "inbox.sqlite3"

    @property
    def serving(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def control(self) -> str:
        return f"127.0.0.1:{self.ports[1]}"

    def start(self, *roles: str) -> None:
        """Start processes; returns at once."""
        for role in roles or ROLES:
            command = [sys.executable, "-P", "-m", "gateway.process", role]
            self.start_as(role, [*command, "--config", str(self.config)])

    def start_as(self, name: str, command: list[str]) -> None:
        """Start ``command`` as the process ``name``; its words go to ``logs``."""
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                start_new_session=True,
            )

    def signal(self, number: signal.Signals, *roles: str) -> None:
        """Send ``number`` to processes; waits until those that were killed are gone."""
        for role in roles or ROLES:
            os.killpg(self.processes[role].pid, number)
        if number is signal.SIGKILL:
            for role in roles or ROLES:
                self.processes.pop(role).wait()

    def mend(self) -> None:
        """Thaw what is frozen and start what is dead; returns at once."""
        for role in ROLES:
            if self.alive(role):
                os.killpg(self.processes[role].pid, signal.SIGCONT)
            else:
                self.start(role)

    def alive(self, role: str) -> bool:
        """Tell whether the process still runs."""
        return role in self.processes and self.processes[role].poll() is None

    def stop(self) -> None:
        """End every process, whatever state it is in."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(10.0)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    @contextmanager
    def orders(self) -> Iterator[serving_pb2_grpc.ServingControlServiceStub]:
        """Speak to serving over its unix socket, as control does."""
        path = self.folder / "run" / "serving.sock"
        with grpc.insecure_channel(f"unix:{path}") as channel:
            yield serving_pb2_grpc.ServingControlServiceStub(channel)

    def status(self) -> serving_pb2.GetStatusResponse | None:
        """Return what serving says of itself; None: nothing."""
        with self.orders() as stub:
            try:
                return stub.GetStatus(serving_pb2.GetStatusRequest(), timeout=_PROBE_S)
            except grpc.RpcError:
                return None

    def wait_for(
        self, fine: Callable[[serving_pb2.GetStatusResponse], bool], what: str
    ) -> serving_pb2.GetStatusResponse:
        """Wait until serving's status is ``fine``. Raises: BoxError: it never was."""
        until = time.monotonic() + PATIENCE_S
        seen = self.status()
        while seen is None or not fine(seen):
            ended = [role for role in self.processes if not self.alive(role)]
            if ended or time.monotonic() > until:
                problem = f"{what} did not happen; ended: {ended}; status: {seen}"
                raise BoxError(f"{problem}\nlogs: {self.folder / 'logs'}")
            time.sleep(0.02)
            seen = self.status()
        return seen

    def wait_until_serving(self, versions: Mapping[str, str]) -> None:
        """Wait until these artifacts (name to version) decide."""

        def fine(seen: serving_pb2.GetStatusResponse) -> bool:
            active = {
                artifact.name: artifact.version
                for artifact in seen.artifacts
                if artifact.state == serving_pb2.ARTIFACT_STATE_ACTIVE
            }
            return seen.ready and versions.items() <= active.items()

        self.wait_for(fine, f"serving {dict(versions)}")

    def force(self, mode: str | None) -> None:
        """Order a mode as an operator does (None: take the order back), and see it in force."""
        answer = ask(self.folder / "run" / "admin.sock", "POST", "/mode", {"mode": mode})
        if answer.status != 200:
            raise BoxError(answer.error)
        if mode is not None:
            wanted = decision_pb2.Mode.Value(f"MODE_{mode.upper()}")
            self.wait_for(lambda seen: seen.mode == wanted, f"mode {mode}")

    def metrics(self) -> str:
        """Return what the monitoring door shows."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[2]}/metrics") as answer:
            return str(answer.read().decode())

    def terminal(
        self,
        folder: Path,
        identity: Identity,
        *,
        ca: Path | None = None,
        bundle_name: str = "",
        serving: str = "",
        control: str = "",
        budget: timedelta = timedelta(milliseconds=150),
    ) -> TerminalConfig:
        """Return the configuration of a register of this box; doors may be somebody else's."""
        return TerminalConfig(
            workstation_id=folder.name,
            gateways=(
                GatewayAddress(serving=serving or self.serving, control=control or self.control),
            ),
            tls=TlsConfig(
                ca=ca or self.authority.ca,
                certificate=identity.certificate,
                key=identity.key,
                server_name="gateway",
            ),
            trust=TrustConfig(
                root=self.folder / "root.json", ring=self.ring, bundle_name=bundle_name
            ),
            state_dir=folder,
            default_budget=budget,
            upkeep=UpkeepConfig(interval_s=0.5, retry_s=0.2, call_timeout_s=2.0),
        )

    def _toml(self) -> str:
        return f"""\
[store]
store_id = "{STORE}"
time_zone = "America/New_York"

[listen]
serving = "{self.serving}"
control = "{self.control}"
health = "127.0.0.1:{self.ports[2]}"

[tls]
ca = "{self.authority.ca}"
certificate = "{self.identity.certificate}"
key = "{self.identity.key}"

[trust]
root = "{self.folder / "root.json"}"
ring = "{self.ring}"

[paths]
state_dir = "{self.folder / "state"}"
run_dir = "{self.folder / "run"}"

[cloud]
bundles_url = "{self.tree_url}"
poll_interval_s = 1.0
deep_endpoint = "{self.deep}"
deep_server_name = "cloud"

[journal]
size_mib = 32
"""


def closed_door() -> str:
    """Return an address where nobody listens."""
    return f"127.0.0.1:{free_ports(1)[0]}"
