"""The real serving process, over real TLS and the real unix socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import trustme

from gateway.journal import JournalReader
from posgate.box.v1 import serving_pb2 as box_pb
from posgate.box.v1.serving_pb2_grpc import ServingControlServiceStub
from posgate.v1 import decision_pb2 as pb
from posgate.v1.decision_pb2_grpc import DecisionServiceStub
from tests.gateway.bundles import (
    STORE,
    Staged,
    features_bundle,
    policy,
    price_bundle,
    rules_bundle,
)

PATIENCE_S = 20.0


@dataclass
class Serving:
    """A serving process and the ways into it."""

    folder: Path
    port: int
    authority: trustme.CA
    process: subprocess.Popen[bytes]

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    @contextmanager
    def control(self) -> Iterator[ServingControlServiceStub]:
        with grpc.insecure_channel(f"unix:{self.run_dir}/serving.sock") as channel:
            yield ServingControlServiceStub(channel)

    @contextmanager
    def channel(self, *, certificate: bool = True) -> Iterator[grpc.Channel]:
        key, chain = None, None
        if certificate:
            leaf = self.authority.issue_cert("terminal-1.store.example")
            key, chain = leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes()
        credentials = grpc.ssl_channel_credentials(self.authority.cert_pem.bytes(), key, chain)
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
        ]
        with grpc.secure_channel(f"localhost:{self.port}", credentials, options) as channel:
            yield channel

    @contextmanager
    def lane(self) -> Iterator[DecisionServiceStub]:
        with self.channel() as channel:
            yield DecisionServiceStub(channel)

    def status(self) -> box_pb.GetStatusResponse:
        with self.control() as control:
            return control.GetStatus(box_pb.GetStatusRequest(), timeout=5, wait_for_ready=True)

    def activate(self, *bundles: Staged) -> None:
        with self.control() as control:
            for staged in bundles:
                artifact = box_pb.ServedArtifact(kind=staged.kind, digest=staged.digest)
                control.Stage(
                    box_pb.StageRequest(artifact=artifact, path=str(staged.path)), timeout=30
                )
                control.Canary(box_pb.CanaryRequest(digest=staged.digest), timeout=30)
                control.Flip(box_pb.FlipRequest(digest=staged.digest), timeout=5)

    def give_answers(self, answers: list[box_pb.RecentAnswer]) -> None:
        request = box_pb.PutRecentAnswersRequest(answers=answers, complete=True)
        with self.control() as control:
            control.PutRecentAnswers(request, timeout=5)

    def bundles(self) -> list[Staged]:
        """Write a store's bundles, fresh by the real clock's reckoning too."""
        place = self.folder / f"bundles-{time.monotonic_ns()}"
        place.mkdir()
        roomy = policy(price_check={"budget_ms": 400}, promotion_validation={"budget_ms": 400})
        return [
            rules_bundle(place, policy=roomy),
            features_bundle(place / "features"),
            price_bundle(place / "price"),
        ]

    def journal(self) -> list[box_pb.JournalRecord]:
        with JournalReader.open(self.run_dir / "journal") as reader:
            return list(reader.read(100_000).records)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.process = _start(self.folder)
        _wait(self)


@contextmanager
def serving(folder: Path) -> Iterator[Serving]:
    """Start a serving process with nothing loaded; ends it, whatever happened to it."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (folder / "cert.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    (folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    port = _free_port()
    (folder / "posgate.toml").write_text(
        f"""
[store]
store_id = "{STORE}"
[tls]
ca = "ca.pem"
certificate = "cert.pem"
key = "key.pem"
[trust]
root = "root.json"
[listen]
serving = "127.0.0.1:{port}"
[paths]
state_dir = "state"
run_dir = "run"
[journal]
size_mib = 8
"""
    )
    opened = Serving(folder, port, authority, _start(folder))
    try:
        _wait(opened)
        yield opened
    finally:
        if opened.process.poll() is None:
            opened.process.terminate()
            opened.process.wait(PATIENCE_S)


def stored(record: box_pb.JournalRecord) -> box_pb.RecentAnswer:
    """Return what control gives back of a journal record."""
    response = pb.EvaluateResponse.FromString(record.response)
    answer = box_pb.RecentAnswer(
        request_id=response.request_id,
        request_sha256=record.request_sha256,
        response=record.response,
        decision_id=response.decision_id,
    )
    answer.decided_time.FromDatetime(datetime.now(UTC))
    return answer


def metadata(error: Any, key: str) -> Any:
    return dict(error.trailing_metadata() or ()).get(key)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(path for path in sys.path if path)
    with (folder / "serving.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.serving", "--config", str(folder / "posgate.toml")],
            env={**os.environ, "PYTHONPATH": paths},
            stderr=log,
        )


def _wait(opened: Serving) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if opened.process.poll() is not None:
            raise AssertionError((opened.folder / "serving.log").read_text())
        try:
            opened.status()
            return
        except grpc.RpcError:
            time.sleep(0.05)
    raise AssertionError("serving did not come up")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
