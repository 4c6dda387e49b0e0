"""The edge network as ONNX: raw contract rows in, probability out.

The graph holds the encoding of ``promo_encoding.py`` node by node, so a gateway hands over
raw rows and knows nothing of fills or one-hots. Only operators that onnxruntime also
implements on CUDA are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from examples.complete_journey.contract import CONTRACT, EDGE_COLUMNS
from examples.complete_journey.mlp import Mlp
from examples.complete_journey.promo_encoding import (
    COUNTS,
    ONE_HOT,
    RATE_FILL,
    RATES,
    RATIO_CEILING,
    RATIO_FILL,
    RATIOS,
    positions,
)

OPSET = 17
IR_VERSION = 9


class _Graph:
    """Collects nodes and constants under fresh names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.ArrayLike, dtype: type = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def columns(self, names: tuple[str, ...], output: str) -> str:
        index = self.constant(f"{output}_at", positions(names), np.int64)
        return self.node("Gather", ["x", index], output, axis=1)

    def filled(self, source: str, fill: float, output: str) -> str:
        """Replace NaN by ``fill``."""
        flags = self.node("IsNaN", [source], f"{output}_nan")
        value = self.constant(f"{output}_fill", fill)
        return self.node("Where", [flags, value, source], output)

    def positive(self, source: str, output: str) -> str:
        """Replace NaN and what is below zero by zero."""
        zero = self.constant(f"{output}_zero", 0.0)
        return self.node("Max", [self.filled(source, 0.0, f"{output}_known"), zero], output)

    def log1p(self, source: str, output: str) -> str:
        one = self.constant(f"{output}_one", 1.0)
        return self.node("Log", [self.node("Add", [source, one], f"{output}_plus")], output)


def _encoding(graph: _Graph) -> str:
    """Add the encoding; its order of parts is that of ``promo_encoding.encode``."""
    counts = graph.log1p(graph.positive(graph.columns(COUNTS, "count_raw"), "count"), "log_n")
    raw_rates = graph.columns(RATES, "rate_raw")
    rates = graph.filled(raw_rates, RATE_FILL, "rate")
    missing = graph.node("Cast", ["rate_nan"], "missing", to=TensorProto.FLOAT)
    ratios = graph.node(
        "Min",
        [
            graph.filled(graph.columns(RATIOS, "ratio_raw"), RATIO_FILL, "ratio"),
            graph.constant("ratio_ceiling", RATIO_CEILING),
        ],
        "ratio_capped",
    )
    shelf = graph.log1p(
        graph.positive(graph.columns(("shelf",), "shelf_raw"), "shelf"), "shelf_log"
    )
    private = graph.filled(graph.columns(("priv",), "priv_raw"), 0.0, "priv")
    parts = [counts, rates, missing, ratios, shelf, private]
    for name, codes in ONE_HOT.items():
        # NaN equals no code: an unknown plan is a row of zeros, apart from "not listed".
        wanted = graph.constant(f"{name}_codes", [list(codes)])
        same = graph.node("Equal", [graph.columns((name,), f"{name}_raw"), wanted], f"{name}_is")
        parts.append(graph.node("Cast", [same], f"{name}_hot", to=TensorProto.FLOAT))
    return graph.node("Concat", parts, "encoded", axis=1)


def edge_graph(network: Mlp, version: str) -> onnx.ModelProto:
    """Return the checked model: input ``x`` float32 [N, 22], output ``p`` float32 [N]."""
    graph = _Graph()
    value = _encoding(graph)
    for index, (weight, bias) in enumerate(network.layers):
        inputs = [
            value,
            graph.constant(f"w{index}", weight),
            graph.constant(f"b{index}", bias),
        ]
        value = graph.node("Gemm", inputs, f"layer{index}")
        if index + 1 < len(network.layers):
            value = graph.node("Relu", [value], f"relu{index}")
    axis = graph.constant("axis", [1], np.int64)
    graph.node("Squeeze", [graph.node("Sigmoid", [value], "p_column"), axis], "p")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "promo_price_edge",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", len(EDGE_COLUMNS)])],
            [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["N"])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="posgate",
    )
    helper.set_model_props(model, {"contract": CONTRACT, "version": version})
    onnx.checker.check_model(model, full_check=True)
    return model
