"""The deep tier over the Open Inference Protocol, on a channel of its own.

One attempt per question, a breaker, a deadline. Owns what goes over the wire: the edge rows
and the keys by which the cloud joins what only it knows. A household leaves the store as a
keyed hash only. A probe tells, off the request path, whether the cloud is worth asking.

Inputs: ``rows`` FP32 [n, width] (left out when width is 0), ``item_id`` BYTES [n],
``store_id`` BYTES [1], ``date`` INT64 [1] (yyyymmdd), ``household`` BYTES [1] (hexadecimal
HMAC-SHA-256, empty: none). Outputs: ``score`` FP32 [n], or for a cart ``item_id`` BYTES [k]
and ``score`` FP32 [k], best first.
"""

from __future__ import annotations

import asyncio
import hmac
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

from gateway.decisions.deep import DeepAnswer, DeepFailedError, DeepQuestion
from gateway.decisions.latency import LatencyWindow
from gateway.deep_channel import ClientFiles, DeepChannel
from gateway.features.tables import Floats

_TRIPS_AFTER = 3
_PROBE_EVERY_S = 1.0
_PROBE_TIMEOUT_S = 1.0
_UNREACHABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED)
_MOST_ITEMS = 64
_SLOW_FOR_S = 5.0
"""How long slow answers speak against the cloud. Nothing is asked meanwhile, so only their
age can clear it: then real calls tell again."""


class OipDeepTier:
    """``DeepTier`` over a gRPC channel; background probing is ``probe_forever``."""

    def __init__(
        self, channel: DeepChannel, household_key: bytes, now_s: Callable[[], float]
    ) -> None:
        """An empty ``household_key``: no household is ever named."""
        self._channel = channel
        self._household_key = household_key
        self._now_s = now_s
        self._windows: dict[str, LatencyWindow] = {}
        self._failures = 0
        # Not usable until a probe has come back.
        self._trouble = "WAN_DOWN"
        self._last_contact_s = float("-inf")

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        target: str,
        files: ClientFiles | None,
        household_key: bytes,
        now_s: Callable[[], float],
        server_name: str = "",
    ) -> AsyncIterator[Self]:
        """Open a channel to ``target``; without files it is plain text. Raises OSError."""
        async with DeepChannel.open(target, files, server_name) as channel:
            yield cls(channel, household_key, now_s)

    def usable(self, allotment_us: int) -> bool:
        """As ``DeepTier.usable``: the breaker is closed and no model is too slow."""
        return not self.why_not(allotment_us)

    def why_not(self, allotment_us: int) -> str:
        """As ``DeepTier.why_not``."""
        if self._trouble:
            return self._trouble
        slow = any(window.p95_us > allotment_us for window in self._windows.values())
        return "WAN_SLOW" if slow else ""

    def expected_us(self, model: str) -> int:
        """As ``DeepTier.expected_us``."""
        window = self._windows.get(model)
        return 0 if window is None else window.p95_us

    async def ask(self, question: DeepQuestion, timeout_s: float) -> DeepAnswer:
        """As ``DeepTier.ask``. Trips the breaker after three failures in a row."""
        if self._trouble:
            raise DeepFailedError(self._trouble)
        window = self._window(question.model)
        begun_s = self._now_s()
        try:
            answer = await self._infer(question, timeout_s)
        except DeepFailedError as exc:
            if exc.reason == "WAN_SLOW":
                window.add(_in_us(self._now_s() - begun_s))
            self._failures += 1
            if self._failures >= _TRIPS_AFTER:
                self._trouble = exc.reason
            raise
        window.add(_in_us(self._now_s() - begun_s))
        self._failures = 0
        self._last_contact_s = self._now_s()
        return answer

    async def probe(self, models: Sequence[str]) -> None:
        """Ask whether every one of ``models`` is ready; closes the breaker, or opens it."""
        if not self._trouble and self._now_s() - self._last_contact_s < _PROBE_EVERY_S:
            return
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                for model in models:
                    request = service_pb2.ModelReadyRequest(name=model)
                    reply = await self._channel.stub.ModelReady(request, timeout=_PROBE_TIMEOUT_S)
                    if not reply.ready:
                        self._trouble = "CLOUD_ERROR"
                        return
        except TimeoutError:
            self._trouble = "WAN_SLOW"
        except grpc.aio.AioRpcError as exc:
            self._trouble = _reason(exc.code())
        else:
            self._trouble = ""
            self._failures = 0
            self._last_contact_s = self._now_s()

    async def probe_forever(self, models: Callable[[], Sequence[str]]) -> None:
        """Probe, and follow a renewed certificate, once a second until cancelled."""
        while True:
            await self._channel.renew()
            await self.probe(models())
            await asyncio.sleep(_PROBE_EVERY_S)

    def _window(self, model: str) -> LatencyWindow:
        if model not in self._windows:
            self._windows[model] = LatencyWindow(self._now_s, horizon_s=_SLOW_FOR_S)
        return self._windows[model]

    async def _infer(self, question: DeepQuestion, timeout_s: float) -> DeepAnswer:
        request = self._request(question)
        try:
            # Two clocks: gRPC's own, and ours in case it answers late.
            async with asyncio.timeout(timeout_s):
                reply = await self._channel.stub.ModelInfer(request, timeout=timeout_s)
        except TimeoutError as exc:
            raise DeepFailedError("WAN_SLOW") from exc
        except grpc.aio.AioRpcError as exc:
            raise DeepFailedError(_reason(exc.code())) from exc
        answer = _answer(reply)
        wanted = len(answer.item_ids) if answer.item_ids else len(question.item_ids)
        if len(answer.scores) != wanted or not np.isfinite(answer.scores).all():
            raise DeepFailedError("CLOUD_ERROR")
        return answer

    def _request(self, question: DeepQuestion) -> Any:
        request = service_pb2.ModelInferRequest(model_name=question.model)
        raw: list[bytes] = []

        def add(name: str, datatype: str, shape: Sequence[int], content: bytes) -> None:
            request.inputs.add(name=name, datatype=datatype, shape=shape)
            raw.append(content)

        if question.rows.shape[1]:
            rows = np.ascontiguousarray(question.rows, "<f4")
            add("rows", "FP32", rows.shape, rows.tobytes())
        add("item_id", "BYTES", [len(question.item_ids)], _bytes_tensor(question.item_ids))
        add("store_id", "BYTES", [1], _bytes_tensor([question.store_id]))
        add("date", "INT64", [1], struct.pack("<q", question.date))
        add("household", "BYTES", [1], _bytes_tensor([self._household(question.loyalty_token)]))
        request.raw_input_contents.extend(raw)
        return request

    def _household(self, loyalty_token: str) -> str:
        return household_hash(self._household_key, loyalty_token)


def household_hash(key: bytes, loyalty_token: str) -> str:
    """Return the keyed hash by which the cloud knows a household; empty without key or token."""
    if not key or not loyalty_token:
        return ""
    return hmac.new(key, loyalty_token.encode(), "sha256").hexdigest()


def _answer(reply: Any) -> DeepAnswer:
    """Read the outputs; anything unexpected is CLOUD_ERROR."""
    contents = dict(
        zip([output.name for output in reply.outputs], reply.raw_output_contents, strict=False)
    )
    types = {output.name: output.datatype for output in reply.outputs}
    try:
        if types["score"] != "FP32" or types.get("item_id", "BYTES") != "BYTES":
            raise DeepFailedError("CLOUD_ERROR")
        scores: Floats = np.frombuffer(contents["score"], "<f4")
        items = _read_bytes_tensor(contents["item_id"]) if "item_id" in types else ()
    except (KeyError, ValueError, struct.error, UnicodeDecodeError) as exc:
        raise DeepFailedError("CLOUD_ERROR") from exc
    return DeepAnswer(scores=scores, item_ids=items, model_version=reply.model_version[:64])


def _bytes_tensor(values: Sequence[str]) -> bytes:
    encoded = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)


def _read_bytes_tensor(raw: bytes) -> tuple[str, ...]:
    values: list[str] = []
    at = 0
    while at < len(raw) and len(values) < _MOST_ITEMS:
        (length,) = struct.unpack_from("<I", raw, at)
        if at + 4 + length > len(raw):
            raise ValueError("a string runs past the end")
        values.append(raw[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return tuple(values)


def _reason(code: grpc.StatusCode) -> str:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "WAN_SLOW"
    return "WAN_DOWN" if code in _UNREACHABLE else "CLOUD_ERROR"


def _in_us(seconds: float) -> int:
    return int(seconds * 1e6)
