"""What the decision engine needs of a model runtime.

Two kinds of implementation exist: inside this process, and a server beside it. Both take
the same tensors, keep the same deadline and prove themselves with the same golden vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from terminal_client.core.manifest import DTYPES, ModelManifest, TensorSpec

Tensor = npt.NDArray[np.float32] | npt.NDArray[np.int64]
Tensors = Mapping[str, Tensor]
_DTYPES = {name: np.dtype(name) for name in DTYPES}


class Runtime(Protocol):
    """Holds loaded models by the digest of their bundle."""

    async def load(self, folder: Path, digest: str, manifest: ModelManifest) -> None:
        """Load the model unpacked at ``folder`` beside the others.

        Raises: ModelRefusedError: it does not fit the manifest or this box.
        """
        ...

    async def infer(self, digest: str, inputs: Tensors, timeout_s: float) -> Tensors:
        """Return the model's outputs, checked: declared names and dtypes, no NaN.

        Raises:
            TimeoutError: not done after ``timeout_s``.
            ModelBusyError: other calls hold it; says nothing about the model.
            ModelFailedError: it raised, answered wrongly or is not loaded.
        """
        ...

    async def unload(self, digest: str) -> None:
        """Let go of a model; one that is not loaded is fine."""
        ...

    def provider(self, digest: str) -> str:
        """Return the execution provider that runs the model; empty: not loaded."""
        ...

    def inline(self, digest: str) -> bool:
        """Tell whether ``infer`` runs on the caller's event loop, where nothing can cut it."""
        ...


def fits(spec: TensorSpec, tensor: Tensor) -> bool:
    """Tell whether a tensor keeps ``spec``: -1 there is free."""
    return (
        tensor.dtype == _DTYPES[spec.dtype]
        and len(spec.shape) == tensor.ndim
        and all(want in (-1, got) for want, got in zip(spec.shape, tensor.shape, strict=True))
    )
