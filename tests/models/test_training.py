"""What needs the training packages and the data set: features, encoding, evaluation."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.train, pytest.mark.timeout(300)]


def test_books_log_and_fleet_give_the_rows_the_models_learnt_from() -> None:
    import numpy as np
    import polars as pl

    from examples.complete_journey.artifacts import DEMO_STORE
    from examples.complete_journey.dataset import TEST_WEEKS, load_panel
    from examples.complete_journey.promo_features import PromoFeatures
    from tests.models.playing import play

    played = play()
    order = sorted(range(len(played.keys)), key=played.keys.__getitem__)
    rows = np.hstack([played.rows, played.fleet])[order]
    panel = load_panel()
    chosen = panel.rows(*TEST_WEEKS) & (panel.lines["store"] == DEMO_STORE).to_numpy()
    learnt = PromoFeatures(panel).matrix(chosen, deep=True)
    line = ("basket", "product", "qty", "net_c", "loy_c", "cpn_c", "match_c")
    places = panel.lines.filter(pl.Series(chosen)).select(line).with_row_index().sort(line)
    np.testing.assert_array_equal(rows, learnt[places["index"].to_numpy()])


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
    key, day, weight = (rng.integers(low, top, 500) for low, top in ((0, 7), (1, 60), (0, 2)))
    history = History(key, day, weight)
    for _ in range(200):
        wanted, after, through = int(rng.integers(0, 8)), *sorted(rng.integers(-5, 65, 2).tolist())
        inside = (key == wanted) & (day > after) & (day <= through)
        count, total = history.between(np.array([wanted]), np.array([after]), np.array([through]))
        assert (count[0], total[0]) == (inside.sum(), weight[inside].sum())
