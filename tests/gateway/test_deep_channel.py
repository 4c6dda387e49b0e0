"""The channel to the cloud follows its certificate; what gives no connection changes nothing."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import trustme
from tritonclient.grpc import service_pb2

from gateway.deep_channel import ClientFiles, DeepChannel
from gateway.escalation import OipDeepTier
from tests.gateway.deep_endpoint import DeepEndpoint, deep_endpoint

NAME = "localhost"
MODEL = "promo_price_deep"


class Cloud:
    """An endpoint that asks for a certificate, and the box's own files."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.files = ClientFiles(
            ca=folder / "ca.pem", certificate=folder / "cert.pem", key=folder / "key.pem"
        )
        self.files.ca.write_bytes(self.authority.cert_pem.bytes())
        self.endpoint: DeepEndpoint
        self.port = 0

    def issue(self, authority: trustme.CA | None = None) -> bytes:
        """Put a new pair in place, each file by a rename; return the certificate."""
        leaf = (authority or self.authority).issue_cert("box.store.example")
        for path, raw in (
            (self.files.key, leaf.private_key_pem.bytes()),
            (self.files.certificate, leaf.cert_chain_pems[0].bytes()),
        ):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(raw)
            os.replace(fresh, path)
        return bytes(leaf.cert_chain_pems[0].bytes())

    def credentials(self) -> grpc.ServerCredentials:
        leaf = self.authority.issue_cert(NAME)
        return grpc.ssl_server_credentials(
            [(leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())],
            root_certificates=self.authority.cert_pem.bytes(),
            require_client_auth=True,
        )


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    made = Cloud(tmp_path)
    async with deep_endpoint(credentials=made.credentials()) as (made.endpoint, made.port):
        yield made


async def seen(cloud: Cloud, certificate: bytes) -> None:
    """Wait until the endpoint is called with ``certificate``."""
    for _ in range(1000):
        if cloud.endpoint.callers[-1:] == [certificate]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never called with that certificate")


async def test_a_renewed_certificate_is_used_without_a_restart(cloud: Cloud) -> None:
    first = cloud.issue()
    target = f"127.0.0.1:{cloud.port}"
    async with OipDeepTier.open(target, cloud.files, b"", time.monotonic, NAME) as tier:
        probing = asyncio.create_task(tier.probe_forever(lambda: [MODEL]))
        await seen(cloud, first)
        await seen(cloud, cloud.issue())
        assert tier.usable(1_000_000)
        probing.cancel()


async def test_files_that_give_no_connection_leave_the_channel_in_force(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    first = cloud.issue()
    ready = service_pb2.ModelReadyRequest(name=MODEL)
    async with DeepChannel.open(f"127.0.0.1:{cloud.port}", cloud.files, NAME) as channel:
        assert not await channel.renew(), "nothing has changed"
        cloud.issue(trustme.CA())
        for _ in range(2):
            assert not await channel.renew()
        cloud.files.key.unlink()
        assert not await channel.renew()
        assert (await channel.stub.ModelReady(ready, timeout=5)).ready
        second = cloud.issue()
        assert await channel.renew()
        assert (await channel.stub.ModelReady(ready, timeout=5)).ready
    assert cloud.endpoint.callers == [first, second]
    assert len(caplog.records) == 1, "a warning once, not at every look"
