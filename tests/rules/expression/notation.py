"""How the JSON tables beside this file write types and values."""

from __future__ import annotations

from typing import Any

from terminal_client.core.expression_types import ValueType


def read_type(source: Any) -> ValueType:
    """``"int"``, ``["list", "int"]`` or ``["map", "string", "int"]``."""
    if isinstance(source, str):
        return ValueType(source)
    return ValueType(source[0], tuple(map(read_type, source[1:])))


def read_value(source: Any) -> Any:
    """A map is ``{"entries": [[key, value], ...]}``; a list becomes the evaluator's tuple."""
    if isinstance(source, list):
        return tuple(map(read_value, source))
    if isinstance(source, dict):
        return {key: read_value(value) for key, value in source["entries"]}
    return source


def exact(value: Any) -> Any:
    """A form in which True differs from 1."""
    if isinstance(value, dict):
        return {(type(key), key): exact(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [exact(item) for item in value]
    return (type(value), value)
