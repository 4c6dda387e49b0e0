"""What the terminal does beside its lane: heartbeats, uploads, redemptions, new rules.

One thread visits the first gateway that answers on its control door. Every call has a deadline,
nothing here holds a lock that a lane waits for, and a step that fails is a condition in the
status, not an end of the others.
"""

from __future__ import annotations

import logging
import platform
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc

from posgate.v1 import bundle_pb2, bundle_pb2_grpc, terminal_pb2, terminal_pb2_grpc
from terminal_client.bundle_cache import BundleCache
from terminal_client.bundle_download import DownloadError, download
from terminal_client.channel import GatewayLink
from terminal_client.codec import instant_to_pb
from terminal_client.config import UpkeepConfig
from terminal_client.core.reading import DocumentError
from terminal_client.core.trust import Evidence
from terminal_client.core.trust_errors import TrustError
from terminal_client.redemption_ledger import FeedChanges, RedemptionLedger
from terminal_client.uploader import Uploader
from terminal_client.version import CLIENT_VERSION

logger = logging.getLogger(__name__)

_SHORTEST_PAUSE_S = 0.2
_LONGEST_INTERVAL_S = 300.0
_HELLO_EVERY_S = 3600.0
_MOST_PAGES = 1024
_CLOSING_S = 10.0
_PLATFORM = f"{platform.system()} {platform.machine()} Python {platform.python_version()}"[:128]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneCounts:
    """What a heartbeat says of the lane since the start, and of the spool now."""

    spooled: int
    fallback: int
    compared: int
    agreed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """The last visit that succeeded. ``skew``: the terminal's clock minus the box's."""

    control: str
    at: datetime
    skew: timedelta


class Upkeep:
    """Start with ``start``, end with ``close``. ``clock`` returns aware UTC."""

    def __init__(
        self,
        config: UpkeepConfig,
        workstation_id: str,
        links: Sequence[GatewayLink],
        uploader: Uploader | None,
        cache: BundleCache,
        ledger: RedemptionLedger | None,
        counts: Callable[[], LaneCounts],
        clock: Callable[[], datetime],
    ) -> None:
        self.contact: Contact | None = None
        self._config = config
        self._workstation_id = workstation_id
        self._links = links
        self._uploader = uploader
        self._cache = cache
        self._ledger = ledger
        self._counts = counts
        self._clock = clock
        self._interval_s = config.interval_s
        # Lanes that were switched on together do not call together.
        self._phase = 0.9 + zlib.crc32(workstation_id.encode()) % 1000 / 5000
        self._conditions: dict[str, str] = {}
        self._greeted: dict[str, float] = {}
        self._trust_at = float("-inf")
        self._trust_failed_for = ""
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="posgate-upkeep", daemon=True)

    @property
    def conditions(self) -> tuple[str, ...]:
        """What fails now: ``step: problem``."""
        return tuple(f"{step}: {problem}" for step, problem in sorted(self._conditions.items()))

    def start(self) -> None:
        """Begin; the first visit is at once."""
        self._thread.start()

    def wake(self) -> None:
        """Ask for a visit soon: there is something to send."""
        self._wake.set()

    def close(self) -> None:
        """End after the call in progress. May be called twice."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSING_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                reached = self._visit_first()
            # The thread's outermost edge: uploads must go on tomorrow as well.
            except Exception:
                logger.exception("upkeep failed and goes on")
                reached = False
            if reached:
                self._stop.wait(_SHORTEST_PAUSE_S)
                self._wake.wait(max(self._interval_s * self._phase - _SHORTEST_PAUSE_S, 0.0))
            else:
                self._stop.wait(self._config.retry_s * self._phase)
            self._wake.clear()

    def _visit_first(self) -> bool:
        for link in self._links:
            link.refresh()
        for link in self._links:
            if self._stop.is_set():
                break
            if self._step("heartbeat", lambda link=link: self._visit(link)):  # type: ignore[misc]
                return True
        return False

    def _visit(self, link: GatewayLink) -> None:
        self._greet(link)
        beat = self._beat(link)
        gateway_time = beat.gateway_time.ToDatetime(tzinfo=UTC)
        now = self._clock()
        self.contact = Contact(control=link.address.control, at=now, skew=now - gateway_time)
        uploader, timeout_s = self._uploader, self._config.call_timeout_s
        if uploader is not None:
            self._step("upload", lambda: uploader.upload(link.control, timeout_s))
        if self._ledger is not None and beat.redemption_cursor != self._ledger.cursor:
            self._step("redemptions", lambda: self._follow_redemptions(link))
        if self._trust_is_due(beat.fallback_digest):
            self._trust_at = time.monotonic()
            fine = self._step("rules", lambda: self._follow_rules(link))
            self._trust_failed_for = "" if fine else beat.fallback_digest

    def _greet(self, link: GatewayLink) -> None:
        target = link.address.control
        greeted = self._greeted.get(target)
        if greeted is not None and time.monotonic() - greeted < _HELLO_EVERY_S:
            return
        answer = terminal_pb2_grpc.TerminalServiceStub(link.control).Hello(
            terminal_pb2.HelloRequest(
                workstation_id=self._workstation_id,
                client_version=CLIENT_VERSION,
                platform=_PLATFORM,
                fallback_digest=self._digest,
                terminal_time=instant_to_pb(self._clock()),
            ),
            timeout=self._config.call_timeout_s,
        )
        asked_s = answer.heartbeat_interval.seconds + answer.heartbeat_interval.nanos / 1e9
        if asked_s > 0:
            self._interval_s = min(max(asked_s, _SHORTEST_PAUSE_S), _LONGEST_INTERVAL_S)
        self._greeted[target] = time.monotonic()
        logger.info("gateway %s: store %s", target, answer.store_id[:64])

    def _beat(self, link: GatewayLink) -> terminal_pb2.HeartbeatResponse:
        counts = self._counts()
        return terminal_pb2_grpc.TerminalServiceStub(link.control).Heartbeat(
            terminal_pb2.HeartbeatRequest(
                workstation_id=self._workstation_id,
                spooled_decisions=counts.spooled,
                fallback_decisions=counts.fallback,
                fallback_digest=self._digest,
                terminal_time=instant_to_pb(self._clock()),
                compared_decisions=counts.compared,
                agreed_decisions=counts.agreed,
            ),
            timeout=self._config.call_timeout_s,
        )

    @property
    def _digest(self) -> str:
        held = self._cache.active
        return held.bundle.digest if held else ""

    def _trust_is_due(self, told_digest: str) -> bool:
        waited_s = time.monotonic() - self._trust_at
        if waited_s >= self._config.trust_interval_s:
            return True
        if told_digest == self._digest or not told_digest:
            return False
        # What was refused a moment ago is not asked for again with every heartbeat.
        return told_digest != self._trust_failed_for or waited_s >= 10 * self._config.interval_s

    def _follow_rules(self, link: GatewayLink) -> None:
        timeout_s = self._config.call_timeout_s
        answer = bundle_pb2_grpc.BundleServiceStub(link.control).GetTrust(
            bundle_pb2.GetTrustRequest(known_root_version=self._cache.root_version),
            timeout=timeout_s,
        )
        offered = Evidence(
            roots=(), delegation=answer.delegation, release=answer.release, pointer=answer.pointer
        )
        evidence, trusted = self._cache.check(tuple(answer.roots), offered)
        held = self._cache.active
        if self._cache.has(trusted):
            if held is not None and evidence != held.evidence:
                self._cache.install(evidence, trusted, None)
            return
        raw = self._cache.stored(trusted)
        partial = self._cache.partial(trusted)
        if raw is None:
            raw = download(link.control, trusted.release, partial, timeout_s)
        if raw is None:
            self._trust_at = float("-inf")
            return
        try:
            self._cache.install(evidence, trusted, raw)
        finally:
            partial.unlink(missing_ok=True)

    def _follow_redemptions(self, link: GatewayLink) -> None:
        ledger = self._ledger
        if ledger is None:
            return
        stub = bundle_pb2_grpc.BundleServiceStub(link.control)
        cursor, reset = ledger.cursor, False
        changes: list[tuple[str, bool]] = []
        for _ in range(_MOST_PAGES):
            answer = stub.GetRedemptions(
                bundle_pb2.GetRedemptionsRequest(cursor=cursor),
                timeout=self._config.call_timeout_s,
            )
            if answer.reset:
                reset, changes = True, []
            changes += [(change.redemption_key, change.redeemed) for change in answer.changes]
            cursor = answer.next_cursor
            if not answer.more:
                as_of = answer.as_of_time.ToDatetime(tzinfo=UTC)
                ledger.take_feed(
                    FeedChanges(
                        reset=reset,
                        changes=tuple(changes),
                        next_cursor=cursor,
                        as_of=as_of if answer.HasField("as_of_time") else None,
                    )
                )
                return
        raise DownloadError("the redemption view does not end")

    def _step(self, name: str, step: Callable[[], None]) -> bool:
        """Run ``step``; tell whether it succeeded, and keep why not as a condition."""
        try:
            step()
        except grpc.RpcError as error:
            problem = f"{error.code().name}: {error.details()}"[:200]
        except (
            TrustError,
            DocumentError,
            DownloadError,
            OSError,
            sqlite3.Error,
            ValueError,
        ) as error:
            problem = f"{error}"[:200]
        else:
            if self._conditions.pop(name, None) is not None:
                logger.info("%s: works again", name)
            return True
        if self._conditions.get(name) != problem:
            logger.warning("%s: %s; tried again later", name, problem)
        self._conditions[name] = problem
        return False
