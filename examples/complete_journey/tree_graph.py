"""A boosted-tree model as ONNX with one plain output.

The converter's ``label`` output has a fixed shape [1], which makes onnxruntime warn on
every larger batch, and its probabilities come per class. Both go: what is left is ``x`` in
and one float per row out.
"""

from __future__ import annotations

import re

import lightgbm
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

OPSET = 15
IR_VERSION = 9


def tree_graph(
    booster: lightgbm.Booster, column_count: int, *, output: str, properties: dict[str, str]
) -> onnx.ModelProto:
    """Return the checked model: input ``x`` float32 [N, column_count], one output [N].

    A binary classifier gives the probability of class 1, a regressor its value.
    """
    model: onnx.ModelProto = convert_lightgbm(
        with_float_thresholds(booster),
        initial_types=[("x", FloatTensorType([None, column_count]))],
        target_opset=OPSET,
        zipmap=False,
    )
    graph = model.graph
    # The converter names the graph at random; equal models must be equal files.
    graph.name = properties["contract"].replace("/", "_")
    names = [value.name for value in graph.output]
    if "probabilities" in names:
        index = numpy_helper.from_array(np.asarray(1, np.int64), "class_one")
        graph.initializer.append(index)
        graph.node.append(
            helper.make_node("Gather", ["probabilities", "class_one"], [output], axis=1)
        )
    else:
        # Reshape, not Squeeze: the converter may declare an opset whose Squeeze differs.
        shape = numpy_helper.from_array(np.asarray([-1], np.int64), "flat_shape")
        graph.initializer.append(shape)
        graph.node.append(helper.make_node("Reshape", [names[0], "flat_shape"], [output]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N"]))
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", column_count]))
    _drop_unused(graph)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "posgate", "", ""
    del model.metadata_props[:]
    helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    return model


def with_float_thresholds(booster: lightgbm.Booster) -> lightgbm.Booster:
    """Return the same model with every threshold exactly representable in float32.

    ONNX keeps thresholds in float32. Rounding one to the nearest float may step over a
    feature value, which sends that row down the other branch; rounding down never does,
    because the features are float32 themselves and the test is "at most".
    """

    def rounded(line: re.Match[str]) -> str:
        values = [_float_below(float(text)) for text in line.group(1).split()]
        return "threshold=" + " ".join(repr(value) for value in values)

    text = re.sub(r"^threshold=(.*)$", rounded, booster.model_to_string(), flags=re.MULTILINE)
    # The sizes of the trees' texts change with their numbers; without the line they are read on.
    text = re.sub(r"^tree_sizes=.*\n", "", text, flags=re.MULTILINE)
    return lightgbm.Booster(model_str=text)


def _float_below(value: float) -> float:
    """Return the largest float32 that is not above ``value``."""
    nearest = np.float32(value)
    if float(nearest) > value:
        nearest = np.nextafter(nearest, np.float32(-np.inf))
    return float(nearest)


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes whose results nobody reads (what made the label)."""
    while True:
        read = {name for node in graph.node for name in node.input}
        read |= {value.name for value in graph.output}
        dead = [node for node in graph.node if not any(name in read for name in node.output)]
        if not dead:
            return
        for node in dead:
            graph.node.remove(node)
