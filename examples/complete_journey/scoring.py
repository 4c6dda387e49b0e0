"""Score rows with a committed ONNX model on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

Floats = npt.NDArray[np.float32]
_BATCH_ROWS = 8192


def session(path: Path, threads: int = 2) -> ort.InferenceSession:
    """Return a CPU session; results do not depend on ``threads``.

    Raises:
        onnxruntime.capi.onnxruntime_pybind11_state.NoSuchFile: there is no such model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait slow down whatever else the machine does.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def score(path: Path, x: npt.NDArray[np.float32]) -> Floats:
    """Return the first output of a model with the one input ``x``, shape [len(x)]."""
    model = session(path)
    parts = [
        model.run(None, {"x": x[start : start + _BATCH_ROWS]})[0]
        for start in range(0, len(x), _BATCH_ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
