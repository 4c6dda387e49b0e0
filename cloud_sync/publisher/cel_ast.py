"""The wire form of a checked CEL expression (``cel.expr.CheckedExpr``), as far as we read it.

The checker hands its result on only as bytes, and no Python package ships the generated classes.
The messages are therefore declared here, field numbers as in cel-spec's ``syntax.proto`` and
``checked.proto``, in a descriptor pool of their own so that they cannot clash with a copy that
another library registers. Fields we do not read are left out; parsing skips them.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

_TYPE_NAME: Final = "cel.expr.CheckedExpr"

_SCALARS: Final = {
    "int64": FieldDescriptorProto.TYPE_INT64,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}

# Message -> "name number type" of each field; "*" repeats, "|" is a member of its oneof, and
# "map<T>" is a map from int64.
_MESSAGES: Final[dict[str, str]] = {
    "CheckedExpr": """reference_map 2 map<Reference>, type_map 3 map<Type>, expr 4 Expr,
        source_info 5 SourceInfo""",
    "Reference": "name 1 string, overload_id 3 *string, value 4 Constant",
    "SourceInfo": "line_offsets 3 *int32, positions 4 map<int32>",
    "Type": """dyn 1 |Empty, null 2 |int64, primitive 3 |int64, wrapper 4 |int64,
        well_known 5 |int64, list_type 6 |ListType, map_type 7 |MapType, function 8 |Empty,
        message_type 9 |string, type_param 10 |string, type 11 |Empty, error 12 |Empty,
        abstract_type 14 |Empty""",
    "Empty": "",
    "ListType": "elem_type 1 Type",
    "MapType": "key_type 1 Type, value_type 2 Type",
    "Expr": """id 2 int64, const_expr 3 |Constant, ident_expr 4 |Ident, select_expr 5 |Select,
        call_expr 6 |Call, list_expr 7 |CreateList, struct_expr 8 |CreateStruct,
        comprehension_expr 9 |Comprehension""",
    "Constant": """null_value 1 |int64, bool_value 2 |bool, int64_value 3 |int64,
        uint64_value 4 |uint64, double_value 5 |double, string_value 6 |string,
        bytes_value 7 |bytes""",
    "Ident": "name 1 string",
    "Select": "operand 1 Expr, field 2 string, test_only 3 bool",
    "Call": "target 1 Expr, function 2 string, args 3 *Expr",
    "CreateList": "elements 1 *Expr, optional_indices 2 *int32",
    "CreateStruct": "message_name 1 string, entries 2 *Entry",
    "Entry": """id 1 int64, field_key 2 |string, map_key 3 |Expr, value 4 Expr,
        optional_entry 5 bool""",
    "Comprehension": """iter_var 1 string, iter_range 2 Expr, accu_var 3 string, accu_init 4 Expr,
        loop_condition 5 Expr, loop_step 6 Expr, result 7 Expr, iter_var2 8 string""",
}


def _declare_field(message: descriptor_pb2.DescriptorProto, declaration: str) -> None:
    name, number, kind = declaration.split()
    field = message.field.add(name=name, number=int(number))
    field.label = FieldDescriptorProto.LABEL_OPTIONAL
    if kind.startswith("map<"):
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _declare_field(entry, "key 1 int64")
        _declare_field(entry, f"value 2 {kind[4:-1]}")
        kind = f"*{message.name}.{entry.name}"
    if kind.startswith("*"):
        field.label = FieldDescriptorProto.LABEL_REPEATED
    elif kind.startswith("|"):
        field.oneof_index = 0
    kind = kind.lstrip("*|")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".cel.expr.{kind}"


def _checked_expr_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="cel/expr/checked.proto", package="cel.expr", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if "|" in fields:
            message.oneof_decl.add(name="kind")
        for declaration in filter(None, (part.strip() for part in fields.split(","))):
            _declare_field(message, declaration)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(_TYPE_NAME))


_CheckedExpr: Final = _checked_expr_class()


def read_checked(serialized: bytes) -> Any:
    """Return the ``CheckedExpr`` in what the checker serialised (a ``google.protobuf.Any``).

    Raises:
        ValueError: the bytes hold something else; the checker's format has changed.
    """
    envelope = any_pb2.Any.FromString(serialized)
    if envelope.TypeName() != _TYPE_NAME:
        raise ValueError(f"the CEL checker returned {envelope.TypeName()!r}, not {_TYPE_NAME}")
    return _CheckedExpr.FromString(envelope.value)
