"""What needs the training packages and the data set: features, encoding, evaluation."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.timeout(600)]


def test_every_floor_holds() -> None:
    command = [sys.executable, "-m", "examples.complete_journey.evaluate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MISSED" not in done.stdout


def test_the_graph_encodes_as_training_did() -> None:
    import numpy as np
    import onnx
    import onnxruntime as ort

    from examples.complete_journey.golden import read_golden
    from examples.complete_journey.promo_encoding import encode
    from examples.complete_journey.promo_figures import EDGE_MODEL

    model = onnx.load(str(EDGE_MODEL))
    model.graph.output.append(onnx.helper.make_tensor_value_info("encoded", 1, ["N", None]))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rows, _ = read_golden(EDGE_MODEL)
    holes = np.random.default_rng(0).random(rows.shape) < 0.3
    rows = np.where(holes, np.float32(np.nan), rows)
    (encoded,) = session.run(["encoded"], {"x": rows})
    np.testing.assert_allclose(encoded, encode(rows), atol=1e-6)


def test_a_history_never_looks_at_the_day_it_is_asked_on() -> None:
    import numpy as np

    from examples.complete_journey.history import History

    rng = np.random.default_rng(0)
    key, day, weight = (rng.integers(0, top, 500) for top in (7, 60, 2))
    history = History(key, day, weight)
    for _ in range(200):
        wanted, after, through = int(rng.integers(0, 8)), *sorted(rng.integers(-5, 65, 2).tolist())
        inside = (key == wanted) & (day > after) & (day <= through)
        count, total = history.between(np.array([wanted]), np.array([after]), np.array([through]))
        assert (count[0], total[0]) == (inside.sum(), weight[inside].sum())
