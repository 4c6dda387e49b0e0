"""From a checked CEL expression to the rule language's JSON.

Owns which of CEL's functions, macros and types a rule may use, and what to write instead of the
others. The type checking itself is done by the CEL checker before, and once more by
`terminal_client.core.expression_ir` on what comes out.
"""

from __future__ import annotations

import re
from typing import Any, Final

from terminal_client.core.expression_types import Schema

# CEL function -> operation, for those that take their arguments as they come.
_FUNCTIONS: Final = {
    "!_": "not",
    "_?_:_": "if",
    "_==_": "eq",
    "_!=_": "ne",
    "_<_": "lt",
    "_<=_": "le",
    "_>_": "gt",
    "_>=_": "ge",
    "_+_": "add",
    "_-_": "sub",
    "_*_": "mul",
    "_/_": "div",
    "_%_": "mod",
    "-_": "neg",
    "@in": "in",
    "_[_]": "index",
    "size": "size",
    "contains": "contains",
    "startsWith": "starts_with",
    "endsWith": "ends_with",
}
_JUNCTIONS: Final = {"_&&_": "and", "_||_": "or"}
# Conversion -> the CEL type code that it leaves as it is.
_CONVERSIONS: Final = {"int": 2, "string": 5, "bool": 1}

_TIME: Final = (
    "use context.store_local_date (yyyymmdd), context.store_local_minute_of_day or context.weekday"
)
_REGEX: Final = "use contains, startsWith, endsWith or =="
_ONE_TYPE: Final = "give every element the same type, and an empty list or map a use that types it"
_INTEGER: Final = "use whole numbers: money in minor units, quantities in thousandths"
_SIGNED: Final = "write the number without u"
_TEXT: Final = "use text"
_HAS: Final = "use has(message.field) on an optional field"

_PRIMITIVES: Final = {3: ("uint", _SIGNED), 4: ("double", _INTEGER), 6: ("bytes", _TEXT)}
_WELL_KNOWN: Final = {
    1: ("google.protobuf.Any", "use a field of a declared type"),
    2: ("timestamp", _TIME),
    3: ("duration", _TIME),
}
_REFUSED_FUNCTIONS: Final = {
    "matches": ("a regular expression", _REGEX),
    "dyn": ("dyn", "leave out dyn()"),
    "type": ("type()", "types are known when the rule is published"),
    "double": ("double", _INTEGER),
    "uint": ("uint", _SIGNED),
    "bytes": ("bytes", _TEXT),
    "timestamp": ("timestamp", _TIME),
    "duration": ("duration", _TIME),
}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class LoweringError(ValueError):
    """The expression uses what a rule may not.

    Attributes:
        node_id: the CEL node it stands at.
        problem: what is not allowed.
        remedy: what to write instead.
    """

    def __init__(self, node_id: int, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.node_id = node_id
        self.problem = problem
        self.remedy = remedy


class Lowering:
    """One checked expression on its way to JSON."""

    def __init__(self, checked: Any, schema: Schema, presence_unknown: frozenset[str]) -> None:
        """Take ``checked`` (a ``CheckedExpr``).

        ``presence_unknown`` names the fields, as ``Message.field``, whose presence the core's
        objects do not keep although protobuf does: members of a oneof.
        """
        self._checked = checked
        self._schema = schema
        self._presence_unknown = presence_unknown
        self._ids: dict[int, int] = {}

    def lower(self) -> object:
        """Return the JSON.

        Raises:
            LoweringError: the expression uses what a rule may not.
        """
        return self._expr(self._checked.expr)

    def node_at(self, source: object, path: tuple[int, ...]) -> int:
        """Return the CEL node that the item at ``path`` of `lower`'s result came from."""
        node_id: int = self._checked.expr.id
        item: Any = source
        for index in path:
            item = item[index]
            node_id = self._ids.get(id(item), node_id)
        return node_id

    def _expr(self, expr: Any) -> object:
        kind = expr.WhichOneof("kind")
        reference = self._checked.reference_map.get(expr.id)
        if reference is not None and reference.HasField("value"):
            lowered = self._constant(expr.id, reference.value)
        elif reference is not None and kind in ("ident_expr", "select_expr"):
            lowered = self._variable(expr.id, reference.name)
        elif kind == "const_expr":
            lowered = self._constant(expr.id, expr.const_expr)
        else:
            # Arguments first: the innermost thing that is not allowed is the one to name.
            lowered = getattr(self, f"_{kind}")(expr)
        self._refuse_type(expr)
        if isinstance(lowered, list):
            self._ids[id(lowered)] = expr.id
        return lowered

    def _refuse_type(self, expr: Any) -> None:
        kind = self._checked.type_map[expr.id]
        which = kind.WhichOneof("kind")
        refused: tuple[str, str] | None = None
        if which == "primitive":
            refused = _PRIMITIVES.get(kind.primitive)
        elif which == "well_known":
            refused = _WELL_KNOWN[kind.well_known]
        elif which == "wrapper":
            refused = ("a wrapper", "use an optional field and has()")
        elif which not in ("list_type", "map_type", "message_type"):
            refused = ("dyn", _ONE_TYPE)
        if refused is not None:
            raise LoweringError(expr.id, f"{refused[0]} is not allowed", refused[1])

    def _constant(self, node_id: int, constant: Any) -> object:
        kind = constant.WhichOneof("kind")
        if kind in ("bool_value", "int64_value", "string_value"):
            value: object = getattr(constant, kind)
            return value
        name = kind.removesuffix("_value").removesuffix("64")
        remedy = {"uint": _SIGNED, "double": _INTEGER, "bytes": _TEXT, "null": _HAS}[name]
        raise LoweringError(node_id, f"{name} is not allowed", remedy)

    def _variable(self, node_id: int, name: str) -> object:
        if not _NAME.fullmatch(name):
            raise LoweringError(
                node_id, f"the name {name!r} is not allowed", "use [a-z][a-z0-9_]*, at most 64"
            )
        return ["var", name]

    def _select_expr(self, expr: Any) -> object:
        select = expr.select_expr
        operand = self._expr(select.operand)
        of = self._checked.type_map[select.operand.id]
        if of.WhichOneof("kind") == "map_type":
            if select.test_only:
                return ["in", select.field, operand]
            return ["index", operand, select.field]
        message = of.message_type.rpartition(".")[2]
        if select.test_only and f"{message}.{select.field}" in self._presence_unknown:
            raise LoweringError(
                expr.id, f"has() of {select.field}, a member of a oneof", "compare its value"
            )
        # The type is refused first, for its better remedy: a rule cannot read a timestamp.
        self._refuse_type(expr)
        known = self._schema.get(message, {}).get(select.field)
        if known is None:
            raise LoweringError(
                expr.id, f"rules cannot read {message}.{select.field}", "see docs/rules.md"
            )
        if select.test_only and known.type.kind == "message" and not known.optional:
            raise LoweringError(expr.id, f"{select.field} is always there", "compare its fields")
        return ["has" if select.test_only else "field", operand, select.field]

    def _call_expr(self, expr: Any) -> object:
        call = expr.call_expr
        if call.function in _REFUSED_FUNCTIONS:
            name, remedy = _REFUSED_FUNCTIONS[call.function]
            raise LoweringError(expr.id, f"{name} is not allowed", remedy)
        target = [call.target] if call.HasField("target") else []
        arguments = [*target, *call.args]
        lowered = [self._expr(argument) for argument in arguments]
        if call.function in _JUNCTIONS:
            return self._junction(_JUNCTIONS[call.function], lowered)
        if call.function in _CONVERSIONS:
            of = self._checked.type_map[arguments[0].id]
            unchanged = of.primitive == _CONVERSIONS[call.function]
            return lowered[0] if unchanged else [call.function, *lowered]
        if call.function not in _FUNCTIONS:
            raise LoweringError(
                expr.id, f"the function {call.function} is not allowed", "see docs/rules.md"
            )
        return [_FUNCTIONS[call.function], *lowered]

    def _junction(self, op: str, lowered: list[object]) -> object:
        """``a && b && c`` becomes one operation: it is associative, errors included."""
        parts: list[object] = []
        for part in lowered:
            nested = isinstance(part, list) and part[0] == op
            parts += part[1:] if nested and isinstance(part, list) else [part]
        return [op, *parts]

    def _list_expr(self, expr: Any) -> object:
        return ["list", *map(self._expr, expr.list_expr.elements)]

    def _struct_expr(self, expr: Any) -> object:
        struct = expr.struct_expr
        if struct.message_name:
            raise LoweringError(
                expr.id, f"building a {struct.message_name} is not allowed", "use its fields"
            )
        items: list[object] = []
        for entry in struct.entries:
            key = self._expr(entry.map_key)
            if isinstance(key, (list, bool)):
                raise LoweringError(
                    entry.map_key.id, "a computed or bool key", "use an int or string literal"
                )
            if key in items[::2]:
                raise LoweringError(entry.map_key.id, f"the key {key!r} comes twice", "drop one")
            items += [key, self._expr(entry.value)]
        return ["dict", *items]

    def _comprehension_expr(self, expr: Any) -> object:
        """Recognise the macro that the parser expanded."""
        loop = expr.comprehension_expr
        over = self._expr(loop.iter_range)
        variable = self._variable(expr.id, loop.iter_var)
        step = loop.loop_step.call_expr
        name = variable[1] if isinstance(variable, list) else ""
        if step.function == "_&&_":
            return ["all", over, name, self._expr(step.args[1])]
        if step.function == "_||_":
            return ["exists", over, name, self._expr(step.args[1])]
        if step.function == "_+_":
            return ["map", over, name, self._expr(step.args[1].list_expr.elements[0])]
        condition = self._expr(step.args[0])
        added = step.args[1].call_expr.args[1]
        if not added.HasField("list_expr"):
            return ["exists_one", over, name, condition]
        element = added.list_expr.elements[0]
        if element.ident_expr.name == loop.iter_var:
            return ["filter", over, name, condition]
        return ["filter_map", over, name, condition, self._expr(element)]
