"""A cloud that behaves badly on demand: Open Inference Protocol over real gRPC."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc


class DeepEndpoint(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Scores every row with ``score``, after ``delay_s``, if ``mood`` lets it."""

    def __init__(self) -> None:
        self.mood = "well"
        self.delay_s = 0.0
        self.score = 0.95
        self.requests: list[Any] = []
        self.ready_count = 0
        self.callers: list[bytes] = []

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.ready_count += 1
        self.callers.append(context.auth_context().get("x509_pem_cert", [b""])[0])
        if self.mood == "silent":
            await asyncio.sleep(60)
        return service_pb2.ModelReadyResponse(ready=self.mood != "not ready")

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.requests.append(request)
        if self.mood == "silent":
            await asyncio.sleep(60)
        if self.mood == "failing":
            await context.abort(grpc.StatusCode.INTERNAL, "CUDA error at /opt/secret/path")
        await asyncio.sleep(self.delay_s)
        names = [tensor.name for tensor in request.inputs]
        raw = dict(zip(names, request.raw_input_contents, strict=True))
        rows = raw["item_id"].count(b"") and len(read_strings(raw["item_id"]))
        scores = np.full(rows, self.score, "<f4")
        match self.mood:
            case "nan":
                scores[:] = np.nan
            case "short":
                scores = scores[:-1]
        reply = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="7")
        datatype = "INT64" if self.mood == "typed wrongly" else "FP32"
        reply.outputs.add(name="score", datatype=datatype, shape=[len(scores)])
        if self.mood == "recommending":
            items = [b"deep-1", b"deep-2", b"deep-3"]
            reply.outputs[0].shape[:] = [3]
            reply.raw_output_contents.append(np.array([0.9, 0.8, 0.7], "<f4").tobytes())
            reply.outputs.add(name="item_id", datatype="BYTES", shape=[3])
            reply.raw_output_contents.append(
                b"".join(struct.pack("<I", len(item)) + item for item in items)
            )
        elif self.mood != "without contents":
            reply.raw_output_contents.append(scores.tobytes())
        if self.mood == "garbage":
            reply.outputs.add(name="item_id", datatype="BYTES", shape=[1])
            reply.raw_output_contents.append(b"\xff\xff\xff\xffx")
        return reply


def read_strings(raw: bytes) -> list[str]:
    found, at = [], 0
    while at < len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        found.append(raw[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return found


@asynccontextmanager
async def deep_endpoint(
    port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[tuple[DeepEndpoint, int]]:
    """Serve an endpoint, without credentials in plain text; yields it and its port."""
    endpoint = DeepEndpoint()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(endpoint, server)
    address = f"127.0.0.1:{port}"
    bound = (
        server.add_insecure_port(address)
        if credentials is None
        else server.add_secure_port(address, credentials)
    )
    await server.start()
    try:
        yield endpoint, bound
    finally:
        await server.stop(None)


@asynccontextmanager
async def dripping_endpoint() -> AsyncIterator[int]:
    """Accept connections and send a byte of nonsense now and then."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"\x00")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
