"""Golden vectors through the path that lanes use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import cast

import numpy as np

from gateway.inference.errors import CanaryError, ModelFailedError
from gateway.inference.runtime import Runtime, Tensor, Tensors, fits
from terminal_client.core.manifest import ModelManifest

_ROUNDS = 20
_LONGEST_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryResult:
    """It passed: the slowest and the 95th percentile of a golden inference."""

    slowest_us: int
    p95_us: int


def golden_inputs(folder: Path, manifest: ModelManifest) -> Tensors:
    """Return the golden inputs; raises CanaryError when they do not fit the manifest."""
    tensors = {name: _load(folder / file) for name, file in manifest.golden.inputs.items()}
    for spec in manifest.inputs:
        tensor = tensors[spec.name]
        if not fits(spec, tensor) or not tensor.size:
            raise CanaryError(f"golden input {spec.name} is {tensor.dtype} {tensor.shape}")
    return tensors


async def run_canary(
    runtime: Runtime, folder: Path, digest: str, manifest: ModelManifest
) -> CanaryResult:
    """Infer the golden inputs several times and compare every output.

    Raises:
        CanaryError: an output is off by more than the tolerance, the model failed, or its
            95th percentile is above the manifest's.
    """
    inputs = golden_inputs(folder, manifest)
    wanted = {name: _load(folder / file) for name, file in manifest.golden.outputs.items()}
    spent_us: list[int] = []
    for _ in range(_ROUNDS):
        begun = perf_counter()
        try:
            outputs = await runtime.infer(digest, inputs, _LONGEST_S)
        except (TimeoutError, ModelFailedError) as exc:
            raise CanaryError(f"golden inference failed: {type(exc).__name__}") from exc
        spent_us.append(int((perf_counter() - begun) * 1e6))
        _compare(outputs, wanted, manifest.golden.abs_tolerance)
    spent_us.sort()
    p95_us = spent_us[int(0.95 * (_ROUNDS - 1))]
    if p95_us > manifest.p95_ms * 1000:
        raise CanaryError(f"golden p95 is {p95_us} us, the manifest allows {manifest.p95_ms} ms")
    return CanaryResult(slowest_us=spent_us[-1], p95_us=p95_us)


def _compare(outputs: Tensors, wanted: Tensors, tolerance: float) -> None:
    for name, want in wanted.items():
        got = outputs[name]
        if got.shape != want.shape or got.dtype != want.dtype:
            raise CanaryError(f"golden output {name} is {got.dtype} {got.shape}")
        if not np.allclose(got, want, rtol=0.0, atol=tolerance):
            raise CanaryError(f"golden output {name} is off by more than {tolerance}")


def _load(path: Path) -> Tensor:
    try:
        return cast("Tensor", np.load(path, allow_pickle=False))
    except (OSError, ValueError) as exc:
        raise CanaryError(f"golden file {path.name} cannot be read") from exc
