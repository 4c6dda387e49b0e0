"""onnxruntime inside the serving process: the embedded default.

A model that a warm-up shows to be tiny runs inline on the event loop, where a thread's
hand-off would cost more than the model; a heavy one runs in a thread of its own, where calls
take turns, each within its own time. A call is cut at its deadline (onnxruntime stops between
two nodes), and until it has really stopped further calls are refused. The provider is
asserted: onnxruntime silently falls back to the CPU.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime as ort

from gateway.inference.canary import golden_inputs
from gateway.inference.errors import ModelBusyError, ModelFailedError, ModelRefusedError
from gateway.inference.runtime import Tensor, Tensors, fits
from terminal_client.core.manifest import ModelManifest, Scope, TensorSpec

INLINE_BELOW_S = 0.000_5
"""Faster models run on the loop: they delay others less than a thread would cost them."""
_WARM_UP_ROUNDS = 15
_WARM_UP_ROWS = 30
"""A typical basket: what a golden batch holds is chosen for its coverage, not its size."""
_STUCK_AFTER_S = 1.0
"""A cut call that still runs after this long is the model's failure, no longer bad luck."""
_ONNX_DTYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}
_FATAL = 4


@dataclass(slots=True, kw_only=True)
class _Model:
    """A loaded model.

    ``typical_s``: what a typical basket takes. Of a heavy one, ``turn`` is held by the call
    that has the thread, and ``cut`` is the thread's work that its caller no longer waits for,
    since ``cut_s``.
    """

    session: Any
    manifest: ModelManifest
    outputs: list[str]
    inline: bool = True
    typical_s: float = 0.0
    thread: ThreadPoolExecutor | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    cut: asyncio.Future[Any] | None = None
    cut_s: float = 0.0


class OnnxRuntime:
    """Models in this process; one intra-op thread each, no spinning."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}

    async def load(self, folder: Path, digest: str, manifest: ModelManifest) -> None:
        """Load beside the others and time a warm-up; as ``Runtime.load``."""
        model = await asyncio.to_thread(_load, folder, manifest)
        inputs = golden_inputs(folder, manifest)
        try:
            model.typical_s = await asyncio.to_thread(_warm_up, model, inputs)
        except Exception as exc:
            raise ModelRefusedError(f"the model does not run: {_brief(exc)}") from exc
        model.inline = model.typical_s < INLINE_BELOW_S
        if not model.inline:
            model.thread = ThreadPoolExecutor(1, thread_name_prefix=f"model-{manifest.name}")
        self._models[digest] = model

    async def infer(self, digest: str, inputs: Tensors, timeout_s: float) -> Tensors:
        """Run the model; as ``Runtime.infer``."""
        model = self._models.get(digest)
        if model is None:
            raise ModelFailedError(f"{digest[:15]} is not loaded")
        for spec in model.manifest.inputs:
            tensor = inputs[spec.name]
            if not fits(spec, tensor):
                raise ModelFailedError(f"input {spec.name} is {tensor.dtype} {tensor.shape}")
        try:
            if model.inline:
                outputs = model.session.run(model.outputs, dict(inputs))
            else:
                outputs = await _in_thread(model, inputs, timeout_s)
        except (TimeoutError, ModelFailedError):
            raise
        # onnxruntime raises its own types, which share no base but Exception.
        except Exception as exc:
            raise ModelFailedError(f"the model raised: {_brief(exc)}") from exc
        return _checked(model.manifest.outputs, outputs)

    async def unload(self, digest: str) -> None:
        """Let go of the model; work still running is left to end by itself."""
        model = self._models.pop(digest, None)
        if model is not None and model.thread is not None:
            model.thread.shutdown(wait=False, cancel_futures=True)

    def provider(self, digest: str) -> str:
        """Return the provider of the model's nodes; empty: not loaded."""
        model = self._models.get(digest)
        return "" if model is None else str(model.session.get_providers()[0])

    def inline(self, digest: str) -> bool:
        """As ``Runtime.inline``; a model that is not loaded is none."""
        model = self._models.get(digest)
        return model is not None and model.inline


def _load(folder: Path, manifest: ModelManifest) -> _Model:
    if manifest.provider not in ort.get_available_providers():
        raise ModelRefusedError(f"this box has no {manifest.provider}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _FATAL
    try:
        session = ort.InferenceSession(
            folder / manifest.model_file, options, providers=[manifest.provider]
        )
    except Exception as exc:
        raise ModelRefusedError(f"onnxruntime refuses the model: {_brief(exc)}") from exc
    session.disable_fallback()
    if session.get_providers()[0] != manifest.provider:
        raise ModelRefusedError(
            f"runs on {session.get_providers()[0]}, the manifest asserts {manifest.provider}"
        )
    _check("inputs", manifest.inputs, session.get_inputs())
    _check("outputs", manifest.outputs, session.get_outputs())
    names = [spec.name for spec in manifest.outputs]
    return _Model(session=session, manifest=manifest, outputs=names)


def _check(kind: str, wanted: tuple[TensorSpec, ...], found: list[Any]) -> None:
    have = {node.name: node for node in found}
    # Outputs nobody declared are not asked for; an input nobody declared cannot be fed.
    if kind == "inputs" and have.keys() != {spec.name for spec in wanted}:
        raise ModelRefusedError(f"inputs are {sorted(have)}")
    for spec in wanted:
        node = have.get(spec.name)
        if node is None or node.type != _ONNX_DTYPES[spec.dtype]:
            raise ModelRefusedError(f"{kind}: {spec.name} is missing or no {spec.dtype}")
        shape = [axis if isinstance(axis, int) else -1 for axis in node.shape]
        same = len(shape) == len(spec.shape) and all(
            -1 in (got, want) or got == want for got, want in zip(shape, spec.shape, strict=True)
        )
        if not same:
            raise ModelRefusedError(f"{kind}: {spec.name} has shape {shape}, not {spec.shape}")


def _warm_up(model: _Model, inputs: Tensors) -> float:
    """Return the seconds of an inference of typical size; the first ones build plans.

    The fastest counts: what else the box does while it starts can only make a round slower.
    """
    typical = _typical(model.manifest, inputs)
    spent_s = []
    for _ in range(_WARM_UP_ROUNDS):
        begun = perf_counter()
        model.session.run(model.outputs, typical)
        spent_s.append(perf_counter() - begun)
    return min(spent_s[3:])


def _typical(manifest: ModelManifest, golden: Tensors) -> dict[str, Tensor]:
    """Return golden rows as many as a basket has lines; a cart is one row.

    A shape without a free first axis stays as it is.
    """
    rows = 1 if manifest.scope is Scope.CART else _WARM_UP_ROWS
    free = all(spec.shape and spec.shape[0] == -1 for spec in manifest.inputs)
    if not free:
        return dict(golden)
    return {name: tensor[np.arange(rows) % len(tensor)] for name, tensor in golden.items()}


async def _in_thread(model: _Model, inputs: Tensors, timeout_s: float) -> Any:
    """Wait for the thread and use it, both within ``timeout_s``."""
    until_s = perf_counter() + timeout_s
    _refuse_while_cut(model)
    waited = model.turn.locked()
    try:
        async with asyncio.timeout(timeout_s), model.turn:
            _refuse_while_cut(model)
            if waited and until_s - perf_counter() < model.typical_s:
                raise ModelBusyError("others took the time it needs")
            return await _run(model, inputs)
    except TimeoutError as exc:
        if waited:
            # The calls before it took the time: that is no word about the model.
            raise ModelBusyError("others took its time") from exc
        raise


async def _run(model: _Model, inputs: Tensors) -> Any:
    options = ort.RunOptions()
    running = asyncio.get_running_loop().run_in_executor(
        model.thread, model.session.run, model.outputs, dict(inputs), options
    )
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        options.terminate = True
        model.cut, model.cut_s = running, perf_counter()
        running.add_done_callback(_forget)
        raise


def _refuse_while_cut(model: _Model) -> None:
    if model.cut is None or model.cut.done():
        return
    if perf_counter() - model.cut_s > _STUCK_AFTER_S:
        raise ModelFailedError("a call that was cut does not end")
    raise ModelBusyError("a call that was cut has not ended")


def _forget(done: asyncio.Future[Any]) -> None:
    """Look at a cut call's error, so that asyncio does not report it as unseen."""
    with suppress(asyncio.CancelledError):
        done.exception()


def _checked(wanted: tuple[TensorSpec, ...], values: list[Any]) -> Tensors:
    outputs = {}
    for spec, value in zip(wanted, values, strict=True):
        if not isinstance(value, np.ndarray) or not fits(spec, value):
            raise ModelFailedError(f"output {spec.name} has another shape or type than declared")
        if value.dtype == np.float32 and not np.isfinite(value).all():
            raise ModelFailedError(f"output {spec.name} is not finite")
        outputs[spec.name] = value
    return outputs


def _brief(exc: Exception) -> str:
    """One line without what may name files."""
    return f"{type(exc).__name__}"
