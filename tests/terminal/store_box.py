"""A box for terminals to talk to: real gRPC over real TLS, a disk, the signed tree, the rules.

It answers from the same rules bundle, as a gateway in ``emergency`` does, and keeps what is
uploaded as the contract says: on disk before it is accepted, once per (workstation, epoch,
sequence). Tests make it misbehave through ``fault``. Runs in the test's process, or alone:
``python -m tests.terminal.store_box FOLDER SERVING_PORT CONTROL_PORT [garbage]``.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from posgate.v1 import (
    bundle_pb2,
    bundle_pb2_grpc,
    decision_pb2,
    outcome_pb2,
    outcome_pb2_grpc,
    terminal_pb2,
    terminal_pb2_grpc,
)
from terminal_client.codec import decision_to_pb, decode_request
from terminal_client.core.decision import Decision, Place, highest
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.modes import Mode
from terminal_client.core.redemptions import RedemptionView
from terminal_client.core.store_time import time_of_record

Fault = Callable[[decision_pb2.EvaluateRequest, bytes, grpc.ServicerContext], bytes]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    workstation TEXT, epoch TEXT, sequence INTEGER, request_id TEXT, reason INTEGER,
    PRIMARY KEY (workstation, epoch, sequence)
);
CREATE TABLE IF NOT EXISTS gaps (epoch TEXT, first INTEGER, last INTEGER, reason TEXT);
CREATE TABLE IF NOT EXISTS outcomes (request_id TEXT PRIMARY KEY, decision_id TEXT);
CREATE TABLE IF NOT EXISTS feed (
    cursor INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, redeemed INTEGER
);
"""


@dataclass(frozen=True, kw_only=True)
class BoxFolder:
    """What a box has on disk."""

    path: Path

    @property
    def tree(self) -> Path:
        return self.path / "tree"

    def pem(self, name: str) -> bytes:
        return (self.path / "tls" / name).read_bytes()

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path / "box.sqlite3", timeout=10)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
            with connection:
                yield connection
        finally:
            connection.close()

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with self.database() as database:
            return database.execute(query).fetchall()


class StoreBox:
    """Both doors. ``fault`` may replace an answer's bytes, wait, or abort the call."""

    def __init__(
        self,
        folder: Path,
        *,
        serving: int = 0,
        control: int = 0,
        server: str = "server",
        client_ca: str | None = "ca.pem",
        ring: str = "fleet",
    ) -> None:
        self.folder = BoxFolder(path=folder)
        self.fault: Fault | None = None
        self.asked: list[decision_pb2.EvaluateRequest] = []
        self.beats: list[terminal_pb2.HeartbeatRequest] = []
        self.upload_gate: Callable[[object, grpc.ServicerContext], None] = lambda *_: None
        self.control_fault: Callable[[str, object], object] = lambda name, answer: answer
        self.ring = ring
        self._served = 0
        self._bundle: FallbackBundle | None = None
        # A call per thread and none left over: a slow answer must not hold up the next one.
        self._servers = [grpc.server(ThreadPoolExecutor(16)) for _ in range(2)]
        key, certificate = self.folder.pem(f"{server}.key"), self.folder.pem(f"{server}.pem")
        ca = self.folder.pem(client_ca) if client_ca else None
        secrets = grpc.ssl_server_credentials([(key, certificate)], ca, client_ca is not None)
        evaluate: Any = grpc.unary_unary_rpc_method_handler(self._evaluate)
        self._servers[0].add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    "posgate.v1.DecisionService", {"Evaluate": evaluate}
                )
            ]
        )
        doors = _Doors(self)
        terminal_pb2_grpc.add_TerminalServiceServicer_to_server(doors, self._servers[1])
        bundle_pb2_grpc.add_BundleServiceServicer_to_server(doors, self._servers[1])
        outcome_pb2_grpc.add_OutcomeServiceServicer_to_server(doors, self._servers[1])
        self.serving, self.control = (
            door.add_secure_port(f"127.0.0.1:{port}", secrets)
            for door, port in zip(self._servers, (serving, control), strict=True)
        )
        for door in self._servers:
            door.start()

    def stop(self) -> None:
        for event in [door.stop(0) for door in self._servers]:
            event.wait(5)

    def bundle(self) -> FallbackBundle:
        """Return the rules that the store's ring selects now."""
        digest = self.selected_digest()
        if self._bundle is None or self._bundle.digest != digest:
            raw = (self.folder.tree / "targets" / f"{digest[7:]}.bundle").read_bytes()
            self._bundle = FallbackBundle.load(raw, digest)
        return self._bundle

    def selected_digest(self) -> str:
        pointer = self.folder.tree / "targets" / "rings" / self.ring / "rules" / "store.json"
        return str(json.loads(pointer.read_bytes())["digest"]) if pointer.exists() else ""

    def _evaluate(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        request = decision_pb2.EvaluateRequest.FromString(raw)
        self.asked.append(request)
        answer = self._honest(request)
        return answer if self.fault is None else self.fault(request, answer, context)

    def _honest(self, request: decision_pb2.EvaluateRequest) -> bytes:
        decoded = decode_request(request)
        now = datetime.now(UTC)
        at = time_of_record(decoded.basket, now)
        bundle = self.bundle()
        own = bundle.decide(decoded.basket, decoded.workflows, at, RedemptionView())
        results = tuple(replace(result, place=Place.GATEWAY) for result in own)
        self._served += 1
        decision = Decision(
            request_id=decoded.request_id,
            decision_id=f"367-box-{self._served}",
            results=results,
            verdict=highest(r.verdict for r in results if r.workflow != "recommendation"),
            mode=Mode.EMERGENCY,
            artifacts=(bundle.artifact(at),),
            gateway_time=now,
            basket_revision=decoded.basket.basket_revision if decoded.basket else 0,
            basket_pin=b"pin of " + decoded.request_id.encode()[-8:],
        )
        return decision_to_pb(decision).SerializeToString()


class _Doors(
    terminal_pb2_grpc.TerminalServiceServicer,
    bundle_pb2_grpc.BundleServiceServicer,
    outcome_pb2_grpc.OutcomeServiceServicer,
):
    def __init__(self, box: StoreBox) -> None:
        self._box = box
        self._lock = threading.Lock()

    def Hello(self, request, context):  # type: ignore[no-untyped-def] # noqa: N802
        answer = terminal_pb2.HelloResponse(store_id="367", time_zone="America/New_York")
        answer.heartbeat_interval.FromTimedelta(timedelta(milliseconds=200))
        return self._box.control_fault("Hello", answer)

    def Heartbeat(self, request, context):  # type: ignore[no-untyped-def] # noqa: N802
        self._box.beats.append(request)
        (cursor,) = self._box.folder.rows("SELECT coalesce(max(cursor), 0) FROM feed")[0]
        answer = terminal_pb2.HeartbeatResponse(
            fallback_digest=self._box.selected_digest(), redemption_cursor=int(str(cursor))
        )
        answer.gateway_time.GetCurrentTime()
        return self._box.control_fault("Heartbeat", answer)

    def UploadLocalDecisions(self, request, context):  # type: ignore[no-untyped-def] # noqa: N802
        self._box.upload_gate(request, context)
        if len(request.decisions) > 256 or request.ByteSize() > 1024 * 1024:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "decisions: too many; send less")
        duplicates, through = 0, 0
        with self._lock, self._box.folder.database() as database:
            for decision in request.decisions:
                key = (request.workstation_id, request.spool_epoch, decision.local_sequence)
                row = (*key, decision.request.request_id, decision.fallback_reason)
                added = database.execute("INSERT OR IGNORE INTO decisions VALUES (?,?,?,?,?)", row)
                duplicates += added.rowcount == 0
                through = max(through, decision.local_sequence)
            for gap in request.gaps:
                bounds = (gap.first_local_sequence, gap.last_local_sequence)
                database.execute(
                    "INSERT INTO gaps VALUES (?,?,?,?)", (request.spool_epoch, *bounds, gap.reason)
                )
                through = max(through, gap.last_local_sequence)
        answer = terminal_pb2.UploadLocalDecisionsResponse(
            accepted_through=through, duplicate_count=duplicates
        )
        return self._box.control_fault("UploadLocalDecisions", answer)

    def ReportOutcomes(self, request, context):  # type: ignore[no-untyped-def] # noqa: N802
        answer = outcome_pb2.ReportOutcomesResponse()
        with self._lock, self._box.folder.database() as database:
            for report in request.reports:
                added = database.execute(
                    "INSERT OR IGNORE INTO outcomes VALUES (?,?)",
                    (report.request_id, report.decision_id),
                )
                fresh = added.rowcount == 1
                redeemed = report.sale.end == outcome_pb2.SALE_END_COMPLETED
                for key in report.sale.redemption_keys if fresh else ():
                    database.execute(
                        "INSERT INTO feed (key, redeemed) VALUES (?,?)", (key, redeemed)
                    )
                answer.results.add(
                    request_id=report.request_id,
                    status=outcome_pb2.REPORT_STATUS_ACCEPTED
                    if fresh
                    else outcome_pb2.REPORT_STATUS_DUPLICATE,
                )
        return self._box.control_fault("ReportOutcomes", answer)

    def GetTrust(self, request, context):  # type: ignore[no-untyped-def] # noqa: N802
        metadata = self._box.folder.tree / "metadata"
        newest = max(int(path.name.split(".")[0]) for path in metadata.glob("*.root.json"))
        known = range(request.known_root_version + 1, newest + 1)
        answer = bundle_pb2.GetTrustResponse(
            roots=[(metadata / f"{number}.root.json").read_bytes() for number in known],
            delegation=(metadata / "targets.json").read_bytes(),
            release=(metadata / "rules.json").read_bytes(),
            pointer=(metadata / f"{self._box.ring}.json").read_bytes(),
        )
        return self._box.control_fault("GetTrust", answer)

    def GetBundle(self, request, context):  # type: ignore[no-untyped-def] # noqa: N802
        path = self._box.folder.tree / "targets" / f"{request.digest[7:]}.bundle"
        if not path.exists():
            context.abort(grpc.StatusCode.NOT_FOUND, "no such bundle here")
        raw = path.read_bytes()
        chunk = raw[request.offset : request.offset + request.max_bytes]
        answer = bundle_pb2.GetBundleResponse(
            chunk=chunk, total_bytes=len(raw), chunk_crc32=zlib.crc32(chunk)
        )
        return self._box.control_fault("GetBundle", answer)

    def GetRedemptions(self, request, context):  # type: ignore[no-untyped-def] # noqa: N802
        rows = self._box.folder.rows(
            f"SELECT cursor, key, redeemed FROM feed WHERE cursor > {request.cursor} "
            "ORDER BY cursor LIMIT 3"
        )
        answer = bundle_pb2.GetRedemptionsResponse(
            changes=[
                bundle_pb2.RedemptionChange(redemption_key=str(key), redeemed=bool(redeemed))
                for _, key, redeemed in rows
            ],
            next_cursor=int(str(rows[-1][0])) if rows else request.cursor,
            more=len(rows) == 3,
        )
        moment = Timestamp()
        moment.GetCurrentTime()
        answer.as_of_time.CopyFrom(moment)
        return self._box.control_fault("GetRedemptions", answer)


def main() -> None:
    folder, serving, control = sys.argv[1:4]
    box = StoreBox(Path(folder), serving=int(serving), control=int(control))
    if sys.argv[4:] == ["garbage"]:
        box.fault = lambda request, answer, context: b"\xff" * 64
    print(f"ready {box.serving} {box.control}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
