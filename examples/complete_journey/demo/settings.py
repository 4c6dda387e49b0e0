"""The configuration files of the demo's machines, as an operator would write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from examples.complete_journey.artifacts import DEMO_STORE
from examples.complete_journey.demo.pki import Identity
from examples.complete_journey.demo.wan import Wan
from examples.complete_journey.rules_source import TIME_ZONE


def gateway_toml(
    folder: Path,
    ca: Path,
    identity: Identity,
    ring: str,
    ports: Sequence[int],
    wans: tuple[Wan, Wan],
) -> str:
    """Return the gateway's file. ``ports``: serving, control, health; WANs: tree, deep tier."""
    tree, deep = wans
    return f"""\
[store]
store_id = "{DEMO_STORE}"
time_zone = "{TIME_ZONE}"

[listen]
serving = "127.0.0.1:{ports[0]}"
control = "127.0.0.1:{ports[1]}"
health = "127.0.0.1:{ports[2]}"

[tls]
ca = "{ca}"
certificate = "{identity.certificate}"
key = "{identity.key}"

[trust]
root = "{folder / "root.json"}"
ring = "{ring}"

[paths]
state_dir = "{folder / "state"}"
run_dir = "{folder / "run"}"

[cloud]
bundles_url = "http://127.0.0.1:{tree.port}"
poll_interval_s = 1.0
deep_endpoint = "127.0.0.1:{deep.port}"
deep_server_name = "cloud"

[journal]
size_mib = 8
"""


def lane_toml(
    folder: Path, name: str, ca: Path, identity: Identity, ring: str, ports: Sequence[int]
) -> str:
    """Return a register's file. ``ports`` as in ``gateway_toml``."""
    return f"""\
workstation_id = "{name}"
state_dir = "{folder / name}"

[[gateways]]
serving = "127.0.0.1:{ports[0]}"
control = "127.0.0.1:{ports[1]}"

[tls]
ca = "{ca}"
certificate = "{identity.certificate}"
key = "{identity.key}"
server_name = "gateway"

[trust]
root = "{folder / "root.json"}"
ring = "{ring}"

[upkeep]
interval_s = 1
retry_s = 0.2
"""
