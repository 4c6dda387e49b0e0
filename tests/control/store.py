"""A store on a bench: certificates, a signed tree in a folder, and a configuration file."""

from __future__ import annotations

import atexit
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import grpc
import trustme
from prometheus_client import CollectorRegistry

from cloud_sync.publisher.repository import Repository
from gateway.config import GatewayConfig
from gateway.config_file import load_config
from gateway.control import Control, open_control
from terminal_client.core.fallback import digest_of
from tests.terminal.rules import rules_bundle


@dataclass(frozen=True, kw_only=True)
class Store:
    """Everything a control process needs, in one folder."""

    folder: Path
    repository: Repository
    ca: trustme.CA
    config_file: Path

    @classmethod
    def make(cls, folder: Path, *, cloud: str | None = None, **sections: str) -> Store:
        """``cloud``: the tree's address; None: the folder itself. ``sections``: more TOML."""
        ca, template = _template()
        shutil.copytree(template, folder, dirs_exist_ok=True)
        repository = Repository.open(folder / "tree", folder / "keys")
        serving, control, health = free_ports(3)
        address = (folder / "tree").as_uri() if cloud is None else cloud
        more = {
            "cloud": f'bundles_url = "{address}"\npoll_interval_s = 0.1\nrequest_timeout_s = 2',
            "journal": "size_mib = 1",
        } | sections
        (folder / "posgate.toml").write_text(
            f"""
[store]
store_id = "367"
time_zone = "America/New_York"
[listen]
serving = "127.0.0.1:{serving}"
control = "127.0.0.1:{control}"
health = "127.0.0.1:{health}"
[tls]
ca = "ca.pem"
certificate = "box.pem"
key = "box.key"
[paths]
state_dir = "state"
run_dir = "run"
[trust]
root = "root.json"
"""
            + "".join(f"[{name}]\n{text}\n" for name, text in more.items())
        )
        return cls(folder=folder, repository=repository, ca=ca, config_file=folder / "posgate.toml")

    @property
    def config(self) -> GatewayConfig:
        return load_config(self.config_file)

    def publish_rules(self, version: str, percent: int = 10) -> str:
        """Publish and promote; return the digest."""
        raw = rules_bundle(version, percent)
        self.publish("rules", "store", version, raw)
        return digest_of(raw)

    def publish(self, channel: str, name: str, version: str, raw: bytes) -> str:
        now = datetime.now(UTC)
        digest = self.repository.publish(channel, name, version, raw, now, now=now)
        self.repository.promote("fleet", channel, name, version, now=now)
        return digest

    def promote_rules(self, version: str) -> int:
        return self.repository.promote("fleet", "rules", "store", version, now=datetime.now(UTC))

    def credentials(self) -> grpc.ChannelCredentials:
        """Return a register's credentials."""
        register = self.ca.issue_cert("register-4")
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca.cert_pem.bytes(),
            private_key=register.private_key_pem.bytes(),
            certificate_chain=register.cert_chain_pems[0].bytes(),
        )

    @asynccontextmanager
    async def open_control(self) -> AsyncIterator[Control]:
        async with open_control(self.config, CollectorRegistry()) as control:
            yield control

    @asynccontextmanager
    async def register(self, target: str | None = None) -> AsyncIterator[grpc.aio.Channel]:
        where = target or self.config.listen.control.target
        async with grpc.aio.secure_channel(where, self.credentials()) as channel:
            yield channel


@cache
def _template() -> tuple[trustme.CA, Path]:
    """Make certificates and keys once: they take longer than most tests."""
    folder = Path(tempfile.mkdtemp(prefix="posgate-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    box = ca.issue_cert("localhost", "127.0.0.1")
    box.private_key_pem.write_to_path(folder / "box.key")
    box.cert_chain_pems[0].write_to_path(folder / "box.pem")
    repository = Repository.init(folder / "tree", folder / "keys", now=datetime.now(UTC))
    (folder / "root.json").write_bytes(repository.root)
    return ca, folder


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
