"""A small binary classifier in plain numpy: ReLU layers, Adam, cosine decay, seeded.

Kept apart from any framework because the result is a handful of matrices that go into an
ONNX graph; two runs with the same seed and BLAS give the same weights.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class MlpConfig:
    """Training settings; ``hidden`` are the layer widths between input and the one logit."""

    hidden: tuple[int, ...] = (64, 32)
    epochs: int = 24
    batch_rows: int = 1024
    learning_rate: float = 2e-3
    weight_decay: float = 1e-5
    seed: int = 0


@dataclass(frozen=True)
class Mlp:
    """Layers of (weight [in, out], bias [out]); the last one gives the logit."""

    layers: tuple[tuple[Matrix, Matrix], ...]

    def logit(self, x: Matrix) -> Matrix:
        """Return the logits, shape [n]."""
        for index, (weight, bias) in enumerate(self.layers):
            x = x @ weight + bias
            if index + 1 < len(self.layers):
                x = np.maximum(x, 0)
        return x[:, 0]

    def scaled(self, mean: Matrix, spread: Matrix, temperature: float) -> Mlp:
        """Fold input standardisation and the output temperature into the layers."""
        (first, first_bias), *rest = self.layers
        weight = first / spread[:, None]
        layers = [(weight, first_bias - mean @ weight), *rest]
        last, last_bias = layers[-1]
        layers[-1] = (last / np.float32(temperature), last_bias / np.float32(temperature))
        return Mlp(tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in layers))


def train_mlp(x: Matrix, y: npt.NDArray[np.int64], config: MlpConfig) -> Mlp:
    """Fit on standardised rows ``x`` [n, d] and labels ``y`` 0/1; a fixed number of epochs."""
    rng = np.random.default_rng(config.seed)
    sizes = (x.shape[1], *config.hidden, 1)
    parameters: list[Matrix] = []
    for rows, columns in itertools.pairwise(sizes):
        spread = np.sqrt(2.0 / rows)
        parameters.append((rng.standard_normal((rows, columns)) * spread).astype(np.float32))
        parameters.append(np.zeros(columns, np.float32))
    optimizer = _Adam(parameters, config.weight_decay)
    target = y.astype(np.float32)
    starts = np.arange(0, len(x), config.batch_rows)
    steps, step = config.epochs * len(starts), 0
    for _ in range(config.epochs):
        order = rng.permutation(len(x))
        for start in starts:
            rows_now = order[start : start + config.batch_rows]
            rate = config.learning_rate * 0.5 * (1 + np.cos(np.pi * step / steps))
            optimizer.update(_gradients(parameters, x[rows_now], target[rows_now]), rate)
            step += 1
    return Mlp(tuple(zip(parameters[::2], parameters[1::2], strict=True)))


def _gradients(parameters: list[Matrix], x: Matrix, target: Matrix) -> list[Matrix]:
    """Return the cross-entropy gradients, in the order of ``parameters``."""
    weights = parameters[::2]
    activations: list[Matrix] = [x]
    for index, weight in enumerate(weights):
        out = activations[-1] @ weight + parameters[2 * index + 1]
        activations.append(np.maximum(out, 0) if index + 1 < len(weights) else out)
    probability = 1 / (1 + np.exp(-activations[-1][:, 0]))
    delta = ((probability - target) / len(target)).astype(np.float32)[:, None]
    gradients: list[Matrix] = []
    for index in range(len(weights) - 1, -1, -1):
        gradients.append(delta.sum(axis=0))
        gradients.append(activations[index].T @ delta)
        if index:
            delta = (delta @ weights[index].T) * (activations[index] > 0)
    return gradients[::-1]


class _Adam:
    """Adam with decoupled weight decay, updating the arrays it was given in place."""

    def __init__(self, parameters: list[Matrix], decay: float) -> None:
        self._parameters, self._decay, self._step = parameters, decay, 0
        self._mean = [np.zeros_like(p) for p in parameters]
        self._square = [np.zeros_like(p) for p in parameters]

    def update(self, gradients: list[Matrix], rate: float) -> None:
        self._step += 1
        mean_scale, square_scale = 1 - 0.9**self._step, 1 - 0.999**self._step
        for parameter, gradient, mean, square in zip(
            self._parameters, gradients, self._mean, self._square, strict=True
        ):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            move = (mean / mean_scale) / (np.sqrt(square / square_scale) + 1e-8)
            parameter -= np.float32(rate) * (move + np.float32(self._decay) * parameter)
