"""The configuration file: it means what it says, or it says what is wrong."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

import terminal_client.version
from terminal_client.config import GatewayAddress
from terminal_client.config_file import load_config
from terminal_client.errors import ConfigError

SMALLEST = """
workstation_id = "lane-1"
state_dir = "state"
gateways = [{ serving = "10.0.0.5:8443", control = "10.0.0.5:8444" }]
[tls]
ca = "tls/ca.pem"
[trust]
root = "root.json"
"""
WHOLE = """
workstation_id = "lane-1"
store_id = "367"
state_dir = "/var/lib/posgate-terminal"
default_budget_ms = 250
gateways = [
    { serving = "[fe80::1]:8443", control = "[fe80::1]:8444" },
    { serving = "backup.store:8443", control = "backup.store:8444" },
]
[tls]
ca = "/etc/posgate/ca.pem"
certificate = "/etc/posgate/lane.pem"
key = "/etc/posgate/lane.key"
server_name = "gateway.store"
[trust]
root = "/etc/posgate/root.json"
ring = "lab"
bundle_name = "store"
[spool]
cap_mib = 8
[breaker]
window = 10
minimum = 3
bad_share = 0.4
slow_share = 0.8
open_s = 1
longest_open_s = 8
sticky_s = 60
[upkeep]
interval_s = 10
retry_s = 2
call_timeout_s = 3
trust_interval_s = 60
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "terminal.toml"
    path.write_text(text)
    return path


def test_the_smallest_file_has_defaults_and_paths_beside_it(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SMALLEST))
    assert config.tls.ca == tmp_path / "tls/ca.pem"
    assert config.state_dir == tmp_path / "state"
    assert config.default_budget == timedelta(milliseconds=150)
    assert config.trust.ring == "fleet"


def test_every_key_is_read(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, WHOLE))
    assert config.gateways[1] == GatewayAddress(
        serving="backup.store:8443", control="backup.store:8444"
    )
    assert config.tls.key == Path("/etc/posgate/lane.key")
    assert config.store_id == "367"
    assert (config.trust.ring, config.trust.bundle_name) == ("lab", "store")
    assert config.spool.cap_bytes == 8 * 1024 * 1024
    assert (config.breaker.minimum, config.breaker.longest_open_s) == (3, 8.0)
    assert (config.upkeep.retry_s, config.upkeep.trust_interval_s) == (2.0, 60.0)


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ('ca = "tls/ca.pem"', 'ca = "tls/ca.pem"\ncert = "x"', "tls.cert"),
        ('ca = "tls/ca.pem"', "", "tls.ca"),
        ("[tls]", "colour = 1\n[tls]", "colour"),
        ('"lane-1"', '"lane 1"', "workstation_id"),
        ("[tls]", 'store_id = "' + "9" * 65 + '"\n[tls]', "store_id"),
        ('"10.0.0.5:8443"', '"10.0.0.5"', "gateways"),
        ('"10.0.0.5:8443"', '"10.0.0.5:8443", port = 1', "gateways[0].port"),
        ("[trust]", "[spool]\ncap_mib = 0\n[trust]", "spool.cap_mib"),
        ("[trust]", 'certificate = "c.pem"\n[trust]', "tls.key"),
        ("[tls]", "default_budget_ms = 0\n[tls]", "default_budget_ms"),
        ("[tls]", "not toml", ""),
    ],
)
def test_an_error_names_the_file_and_the_key(
    tmp_path: Path, before: str, after: str, key: str
) -> None:
    assert before in SMALLEST
    path = written(tmp_path, SMALLEST.replace(before, after, 1))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.key == key
    assert str(path) in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "nowhere.toml")


def test_the_client_says_the_package_s_version() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == terminal_client.version.VERSION
