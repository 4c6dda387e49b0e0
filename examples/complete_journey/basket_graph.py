"""The recommenders as ONNX: carts in, the ten best items not in them out.

Weights are stored in float16 and summed in float32. Items and stores are numbers from 1;
0 is padding or unknown. Column 0 of every table belongs to that 0 and never wins.

Inputs ``cart`` int64 [N, 20] and ``store`` int64 [N]; the deep graph also takes
``hist_item`` int64 [N, 64] and ``hist_weight`` float32 [N, 64] (see
``household_history.py``). Outputs ``item`` int64 [N, 10] and ``score`` float32 [N, 10], best
first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from examples.complete_journey.basket_rec import CART_LENGTH, SUGGESTIONS, Floats, Ints
from examples.complete_journey.household_history import HISTORY_LENGTH

OPSET = 18
IR_VERSION = 9
_NEVER = -60000.0
"""Below every real score, and still a float16."""


class _Recommender:
    """Collects the nodes and constants of one recommender."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def cast(self, source: str, kind: int, output: str) -> str:
        return self.node("Cast", [source], output, to=kind)

    def gathered(self, table: str, at: str, kind: int, output: str) -> str:
        found = self.node("Gather", [table, at], f"{output}_stored", axis=0)
        return self.cast(found, kind, output)


def recommender_graph(
    neighbours: tuple[Ints, Floats],
    prior: Floats,
    *,
    history_weight: float | None,
    properties: dict[str, str],
) -> onnx.ModelProto:
    """Return the checked model.

    Args:
        neighbours: indexes (0-based) and weights, both [items, k].
        prior: weighted log prior [stores + 1, items], row 0 = unknown store.
        history_weight: None for the edge; else what a household's log count weighs.
        properties: metadata of the model.
    """
    graph = _Recommender()
    scores = _cart_scores(graph, neighbours, prior)
    if history_weight is not None:
        scores = _with_history(graph, scores, history_weight)
    never = graph.constant("never", np.array([_NEVER], np.float32))
    shape = graph.node("Shape", ["cart"], "cart_shape")
    masks = graph.node("Expand", [never, shape], "cart_mask")
    masked = graph.node("ScatterElements", [scores, "cart", masks], "open_scores", axis=1)
    count = graph.constant("count", np.array([SUGGESTIONS], np.int64))
    graph.nodes.append(helper.make_node("TopK", [masked, count], ["score", "item"], axis=1))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "basket_rec",
            _inputs(history_weight is not None),
            [
                helper.make_tensor_value_info("item", TensorProto.INT64, ["N", SUGGESTIONS]),
                helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", SUGGESTIONS]),
            ],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="posgate",
    )
    helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    return model


def _cart_scores(graph: _Recommender, neighbours: tuple[Ints, Floats], prior: Floats) -> str:
    """Add the store's prior and every cart item's neighbours."""
    at, weight = neighbours
    padded_at = np.pad(at + 1, ((1, 0), (0, 0))).astype(np.int16)
    padded_weight = np.pad(weight, ((1, 0), (0, 0))).astype(np.float16)
    padded_prior = np.pad(prior, ((0, 0), (1, 0)), constant_values=_NEVER).astype(np.float16)
    graph.constant("neighbour_at", padded_at)
    graph.constant("neighbour_weight", padded_weight)
    graph.constant("prior", padded_prior)
    flat = graph.constant("flat", np.array([0, -1], np.int64))
    base = graph.gathered("prior", "store", TensorProto.FLOAT, "base")
    found_at = graph.gathered("neighbour_at", "cart", TensorProto.INT64, "found_at")
    found = graph.gathered("neighbour_weight", "cart", TensorProto.FLOAT, "found")
    inputs = [
        base,
        graph.node("Reshape", [found_at, flat], "flat_at"),
        graph.node("Reshape", [found, flat], "flat_weight"),
    ]
    return graph.node("ScatterElements", inputs, "cart_scores", axis=1, reduction="add")


def _with_history(graph: _Recommender, scores: str, history_weight: float) -> str:
    """Add the log of a household's decayed counts."""
    one = graph.constant("one", np.array(1.0, np.float32))
    factor = graph.constant("history_weight", np.array(history_weight, np.float32))
    plus = graph.node("Add", ["hist_weight", one], "history_plus")
    log = graph.node("Log", [plus], "history_log")
    weighted = graph.node("Mul", [log, factor], "history_scores")
    inputs = [scores, "hist_item", weighted]
    return graph.node("ScatterElements", inputs, "all_scores", axis=1, reduction="add")


def _inputs(deep: bool) -> list[onnx.ValueInfoProto]:
    inputs = [
        helper.make_tensor_value_info("cart", TensorProto.INT64, ["N", CART_LENGTH]),
        helper.make_tensor_value_info("store", TensorProto.INT64, ["N"]),
    ]
    if deep:
        inputs += [
            helper.make_tensor_value_info("hist_item", TensorProto.INT64, ["N", HISTORY_LENGTH]),
            helper.make_tensor_value_info("hist_weight", TensorProto.FLOAT, ["N", HISTORY_LENGTH]),
        ]
    return inputs
