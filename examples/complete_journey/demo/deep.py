"""The demo's deep tier: the large price model behind the Open Inference Protocol.

It gets the edge row and the line's keys, joins what only the cloud knows (the fleet's
receipts of this week) and scores. Nothing of that join exists in a store.
"""

from __future__ import annotations

import struct
from datetime import date
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tritonclient.grpc import service_pb2, service_pb2_grpc

from examples.complete_journey.artifacts import CLOUD
from examples.complete_journey.fleet import Fleet

MODEL = "promo_price_deep"
_SHELF = "shelf"


class DeepModel:
    """Scores lines: float32 edge rows, item ids and a day in, one probability per row out."""

    def __init__(self, edge_columns: list[str]) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(
            CLOUD / f"{MODEL}.onnx", options, providers=["CPUExecutionProvider"]
        )
        self._fleet = Fleet.committed()
        self._shelf_column = edge_columns.index(_SHELF)

    def score(
        self, rows: npt.NDArray[np.float32], item_ids: list[str], day: date
    ) -> npt.NDArray[np.float32]:
        """Return one probability per row, shape ``(len(rows),)``."""
        shelf_minor = np.rint(rows[:, self._shelf_column] * 100).astype(int)
        joined = np.stack(
            [
                self._fleet.features(item_id, day, int(minor))
                for item_id, minor in zip(item_ids, shelf_minor, strict=True)
            ]
        )
        (scores,) = self._session.run(None, {"x": np.hstack([rows, joined]).astype(np.float32)})
        return np.asarray(scores, np.float32).reshape(-1)


class DeepService(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """The part of the Open Inference Protocol that a gateway asks."""

    def __init__(self, model: DeepModel) -> None:
        self._model = model
        self.call_count = 0

    async def ModelReady(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # noqa: N802
        """Tell whether the model is here."""
        return service_pb2.ModelReadyResponse(ready=request.name == MODEL)

    async def ServerReady(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # noqa: N802
        """Tell that the server is up."""
        return service_pb2.ServerReadyResponse(ready=True)

    async def ModelInfer(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # noqa: N802
        """Score the rows of one question."""
        if request.model_name != MODEL:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model_name:.64}")
        self.call_count += 1
        names = [tensor.name for tensor in request.inputs]
        raw = dict(zip(names, request.raw_input_contents, strict=True))
        item_ids = _strings(raw["item_id"])
        rows = np.frombuffer(raw["rows"], "<f4").reshape(len(item_ids), -1)
        (day,) = struct.unpack("<q", raw["date"])
        scores = self._model.score(rows, item_ids, date(day // 10_000, day // 100 % 100, day % 100))
        reply = service_pb2.ModelInferResponse(model_name=MODEL, model_version="1", id=request.id)
        reply.outputs.add(name="score", datatype="FP32", shape=[len(scores)])
        reply.raw_output_contents.append(scores.astype("<f4").tobytes())
        return reply


def _strings(raw: bytes) -> list[str]:
    """Read a BYTES tensor: each string behind its length, four bytes little endian."""
    strings, at = [], 0
    while at < len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        strings.append(raw[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return strings
