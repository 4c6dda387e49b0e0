"""ONNX models small enough to write by hand, and the few protobuf bytes that takes.

The ``onnx`` package belongs to training; tests of serving do without it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

FLOAT, INT64 = 1, 7
_OPSET = 17


def price_model(width: int, column: int = 0) -> bytes:
    """Return a model ``x [N, width] -> p [N]`` whose score is simply one input column."""
    return _model(
        nodes=[_node("Gather", ["x", "column"], ["p"], _int("axis", 1))],
        constants=[_int64("column", [], [column])],
        inputs=[_value("x", FLOAT, ["N", width])],
        outputs=[_value("p", FLOAT, ["N"])],
    )


def slow_price_model(width: int, steps: int, floats: int = 4_000_000) -> bytes:
    """Return the same model, after ``steps`` passes over ``floats`` numbers."""
    nodes = [
        _node("Gather", ["x", "column"], ["fast"], _int("axis", 1)),
        _node("ReduceMax", ["fast"], ["one"], _int("keepdims", 0)),
        _node("Expand", ["one", "many"], ["wide0"]),
    ]
    nodes += [_node("Sigmoid", [f"wide{i}"], [f"wide{i + 1}"]) for i in range(steps)]
    nodes += [
        _node("ReduceMin", [f"wide{steps}"], ["least"], _int("keepdims", 0)),
        _node("Mul", ["least", "zero"], ["nothing"]),
        _node("Add", ["fast", "nothing"], ["p"]),
    ]
    return _model(
        nodes=nodes,
        constants=[
            _int64("column", [], [0]),
            _int64("many", [1], [floats]),
            _tensor("zero", FLOAT, [], struct.pack("<f", 0.0)),
        ],
        inputs=[_value("x", FLOAT, ["N", width])],
        outputs=[_value("p", FLOAT, ["N"])],
    )


def cart_model(items: int, length: int, top: int) -> bytes:
    """Return a model that recommends the highest-numbered items, whatever the cart."""
    ranked = list(range(items, items - top, -1))
    scores = struct.pack(f"<{top}f", *(number / items for number in ranked))
    return _model(
        nodes=[
            _node("ReduceSum", ["cart", "axes"], ["sum"], _int("keepdims", 1)),
            _node("Mul", ["sum", "nought"], ["none"]),
            _node("Add", ["ranked", "none"], ["item"]),
            _node("Cast", ["none"], ["nonef"], _int("to", FLOAT)),
            _node("Add", ["scores", "nonef"], ["partial"]),
            _node("Unsqueeze", ["store", "axes"], ["stores"]),
            _node("Cast", ["stores"], ["storef"], _int("to", FLOAT)),
            _node("Mul", ["storef", "noughtf"], ["nostore"]),
            _node("Add", ["partial", "nostore"], ["score"]),
        ],
        constants=[
            _int64("axes", [1], [1]),
            _int64("nought", [], [0]),
            _tensor("noughtf", FLOAT, [], struct.pack("<f", 0.0)),
            _int64("ranked", [1, top], ranked),
            _tensor("scores", FLOAT, [1, top], scores),
        ],
        inputs=[_value("cart", INT64, ["B", length]), _value("store", INT64, ["B"])],
        outputs=[_value("item", INT64, ["B", top]), _value("score", FLOAT, ["B", top])],
    )


def _model(
    nodes: list[bytes], constants: list[bytes], inputs: list[bytes], outputs: list[bytes]
) -> bytes:
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"graph")
    graph += b"".join(_bytes(5, constant) for constant in constants)
    graph += b"".join(_bytes(11, value) for value in inputs)
    graph += b"".join(_bytes(12, value) for value in outputs)
    opset = _bytes(1, b"") + _number(2, _OPSET)
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, opset)


def _node(operator: str, inputs: list[str], outputs: list[str], *attributes: bytes) -> bytes:
    node = b"".join(_bytes(1, name.encode()) for name in inputs)
    node += b"".join(_bytes(2, name.encode()) for name in outputs)
    node += _bytes(4, operator.encode())
    return node + b"".join(_bytes(5, attribute) for attribute in attributes)


def _int(name: str, value: int) -> bytes:
    return _bytes(1, name.encode()) + _number(3, value) + _number(20, 2)


def _int64(name: str, shape: list[int], values: list[int]) -> bytes:
    return _tensor(name, INT64, shape, struct.pack(f"<{len(values)}q", *values))


def _tensor(name: str, dtype: int, shape: list[int], raw: bytes) -> bytes:
    dims = b"".join(_number(1, axis) for axis in shape)
    return dims + _number(2, dtype) + _bytes(8, name.encode()) + _bytes(9, raw)


def _value(name: str, dtype: int, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(
        _bytes(1, _number(1, axis) if isinstance(axis, int) else _bytes(2, axis.encode()))
        for axis in shape
    )
    tensor = _number(1, dtype) + _bytes(2, dims)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
