"""One gateway as the terminal sees it: two channels, a breaker, and what is known of its TLS.

Owns connecting and reconnecting. Bytes go in and bytes come out: what an answer means is
``answer``'s affair. A gateway that is off, frozen or hostile costs a caller its deadline and
never an exception.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from terminal_client.breaker import Breaker
from terminal_client.config import GatewayAddress, TerminalConfig, TlsConfig
from terminal_client.core.decision import Decision
from terminal_client.errors import ConfigError
from terminal_client.fallback_reason import FallbackReason
from terminal_client.tls import FileStamp, TlsFinding, TlsState, credentials, probe

logger = logging.getLogger(__name__)

EVALUATE = "/posgate.v1.DecisionService/Evaluate"
_RETIRED_FOR_S = 5.0
_PROBE_TIMEOUT_S = 2.0
_PROBE_EVERY_S = 2.0
_TIMEOUTS_TO_REBUILD = 20
_OPTIONS = (
    # Back within a second once the box is back; the default takes ten times as long.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Pings only beside calls: a server sends clients away that ping an idle connection.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # One attempt per call: the terminal has an answer of its own.
    ("grpc.enable_retries", 0),
    # The box is on the store's own network.
    ("grpc.enable_http_proxy", 0),
    # A rebuilt channel must connect anew, with the new certificate.
    ("grpc.use_local_subchannel_pool", 1),
)
_REASONS = {
    grpc.StatusCode.UNAVAILABLE: FallbackReason.UNREACHABLE,
    grpc.StatusCode.CANCELLED: FallbackReason.TIMEOUT,
    grpc.StatusCode.DEADLINE_EXCEEDED: FallbackReason.TIMEOUT,
    grpc.StatusCode.UNAUTHENTICATED: FallbackReason.CERTIFICATE_REJECTED,
    grpc.StatusCode.PERMISSION_DENIED: FallbackReason.CERTIFICATE_REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of a call: ``decision``, or ``reason`` why there is none."""

    decision: Decision | None = None
    reason: FallbackReason | None = None
    detail: str = ""
    asked_badly: bool = False


class GatewayLink:
    """Thread-safe. Opens its channels at once and connects in the background."""

    def __init__(
        self, address: GatewayAddress, config: TerminalConfig, monotonic: Callable[[], float]
    ) -> None:
        self.address = address
        self.breaker = Breaker(config.breaker, monotonic)
        self.finding: TlsFinding | None = None
        self._tls: TlsConfig = config.tls
        self._lock = threading.Lock()
        self._stamp = FileStamp.of(self._tls)
        self._retired: list[tuple[float, grpc.Channel]] = []
        self._timeouts_in_row = 0
        self._look, self._pause = threading.Event(), threading.Event()
        self._closed = False
        # Started here: starting a thread waits until it runs, and no lane should.
        self._prober = threading.Thread(target=self._probe, name="posgate-tls-probe", daemon=True)
        self._evaluate: grpc.UnaryUnaryMultiCallable[bytes, bytes]
        self._serving, self._control = self._connect()
        self._prober.start()

    @property
    def control(self) -> grpc.Channel:
        """The channel to the control door; ask again for every call."""
        return self._control

    @property
    def state(self) -> str:
        """For people: whether calls go through, and what TLS found last."""
        found = f", TLS {self.finding.state}" if self.finding else ""
        return ("asked" if self.breaker.closed else "kept back") + found

    def ask(
        self,
        request: bytes,
        read: Callable[[bytes], Decision],
        basket_key: str,
        timeout_s: float,
    ) -> Reply:
        """Send ``request`` and return what came within ``timeout_s``; never raises.

        ``read`` turns the answer's bytes into a decision; whatever it raises makes the answer
        one that cannot be used, and counts against the gateway.
        """
        if timeout_s <= 0:
            return Reply(reason=FallbackReason.TIMEOUT, detail="no time left")
        if not self.breaker.admit(basket_key):
            return Reply(reason=FallbackReason.BREAKER_OPEN)
        began = time.monotonic()
        reply = self._call(request, read, timeout_s)
        if reply.asked_badly:
            self.breaker.forget()
        else:
            spent_s = time.monotonic() - began
            self.breaker.record(
                failed=reply.reason is not None, spent_s=spent_s, budget_s=timeout_s
            )
        timed_out = reply.reason is FallbackReason.TIMEOUT
        self._timeouts_in_row = self._timeouts_in_row + 1 if timed_out else 0
        if reply.reason is not None:
            self.look_at_tls()
        return reply

    def look_at_tls(self) -> None:
        """Find out in the background why calls fail; at most every two seconds."""
        self._look.set()

    def refresh(self) -> None:
        """Rebuild the channels when certificate files changed or calls only time out."""
        now = time.monotonic()
        stamp = FileStamp.of(self._tls)
        stuck = self._timeouts_in_row >= _TIMEOUTS_TO_REBUILD
        if stamp != self._stamp or stuck:
            self._rebuild(stamp, now)
        with self._lock:
            over = [channel for until, channel in self._retired if until <= now]
            self._retired = [entry for entry in self._retired if entry[0] > now]
        for channel in over:
            channel.close()

    def close(self) -> None:
        """Close the channels; calls in flight end as unreachable. May be called twice."""
        with self._lock:
            self._closed = True
            retired, self._retired = self._retired, []
        self._look.set()
        self._pause.set()
        for channel in (self._serving, self._control, *(entry[1] for entry in retired)):
            channel.close()

    def _call(self, request: bytes, read: Callable[[bytes], Decision], timeout_s: float) -> Reply:
        done = threading.Event()
        try:
            # Bytes in, bytes out: gRPC logs a traceback for every answer it cannot parse.
            call = self._evaluate.future(request, timeout=timeout_s)
            call.add_done_callback(lambda _: done.set())
        except (grpc.RpcError, ValueError) as error:
            return Reply(reason=FallbackReason.UNREACHABLE, detail=f"{error}")
        if not done.wait(timeout_s):
            # Not cancelled: its own deadline ends it now, in gRPC's thread instead of the lane's.
            return Reply(reason=FallbackReason.TIMEOUT, detail="no answer inside the budget")
        code = call.code()
        if code is grpc.StatusCode.OK:
            return _read(call.result(), read)
        return Reply(
            reason=self._reason(code),
            detail=f"{code.name}: {call.details()}"[:200],
            asked_badly=code is grpc.StatusCode.INVALID_ARGUMENT,
        )

    def _reason(self, code: grpc.StatusCode) -> FallbackReason:
        reason = _REASONS.get(code, FallbackReason.ERROR)
        rejected = self.finding is not None and self.finding.state is TlsState.REJECTED
        if reason is FallbackReason.UNREACHABLE and rejected:
            return FallbackReason.CERTIFICATE_REJECTED
        return reason

    def _probe(self) -> None:
        while True:
            self._look.wait()
            if self._closed:
                return
            self._look.clear()
            finding = probe(self.address.serving, self._tls, _PROBE_TIMEOUT_S)
            before, self.finding = self.finding, finding
            if before is None or before.state is not finding.state:
                logger.info(
                    "gateway %s: TLS %s %s", self.address.serving, finding.state, finding.detail
                )
            self._pause.wait(_PROBE_EVERY_S)
            self._pause.clear()

    def _connect(self) -> tuple[grpc.Channel, grpc.Channel]:
        """Return new channels. Raises: ConfigError: the TLS files cannot be used."""
        options: list[tuple[str, int | str]] = list(_OPTIONS)
        if self._tls.server_name:
            options.append(("grpc.ssl_target_name_override", self._tls.server_name))
        secrets = credentials(self._tls)
        serving = grpc.secure_channel(self.address.serving, secrets, options)
        control = grpc.secure_channel(self.address.control, secrets, options)
        self._evaluate = serving.unary_unary(EVALUATE)
        return serving, control

    def _rebuild(self, stamp: FileStamp, now: float) -> None:
        try:
            fresh = self._connect()
        except ConfigError as error:
            logger.warning(
                "gateway %s: keeps its old certificates: %s", self.address.serving, error
            )
            self._stamp = stamp
            return
        with self._lock:
            # Calls in flight keep the old channel until they are over.
            old = (self._serving, self._control)
            self._retired += [(now + _RETIRED_FOR_S, channel) for channel in old]
            self._serving, self._control = fresh
            self._stamp, self._timeouts_in_row = stamp, 0
        self._pause.set()
        logger.info("gateway %s: channels rebuilt", self.address.serving)


def _read(payload: bytes, read: Callable[[bytes], Decision]) -> Reply:
    try:
        return Reply(decision=read(payload))
    # A stranger's bytes: whatever they break, the rules answer.
    except Exception as error:  # noqa: BLE001
        return Reply(reason=FallbackReason.BAD_ANSWER, detail=f"{error}"[:200])
