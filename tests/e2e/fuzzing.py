"""Messages that are well-formed protobuf and nonsense otherwise, reproducible from a seed."""

from __future__ import annotations

import struct
from random import Random
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

_FILL = 0.5
_MOST = 4
_DEEPEST = 5
_TEXTS = ("", "a", "é\u202e\u0000", "' OR 1=1 --", "../../etc/passwd", "%s%n{0}", "x" * 300, "💳")
_INTEGERS = (0, 1, -1, 2**31 - 1, -(2**31), 89_638, 1_000)
_LONG_INTEGERS = (2**63 - 1, -(2**63), 10**12, 10**12 + 1)
_NUMBERS = (0.0, -0.0, 1e308, float("inf"), float("-inf"), float("nan"), 0.5)


def fuzz(message: M, random: Random, depth: int = 0) -> M:
    """Fill about half of the fields of ``message`` with values from the edges; returns it."""
    for field in message.DESCRIPTOR.fields:
        if random.random() > _FILL:
            continue
        repeated = field.is_repeated
        if field.message_type is not None:
            _fuzz_messages(message, field, random, depth, repeated=repeated)
        elif repeated:
            values = [_scalar(field, random) for _ in range(random.randint(0, _MOST))]
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, _scalar(field, random))
    return message


def mutate(raw: bytes, random: Random) -> bytes:
    """Return ``raw`` with bytes flipped, cut out, doubled or appended."""
    broken = bytearray(raw)
    for _ in range(random.randint(1, 8)):
        at = random.randrange(len(broken) + 1)
        match random.randrange(4):
            case 0 if at < len(broken):
                broken[at] ^= 1 << random.randrange(8)
            case 1:
                del broken[at : at + random.randint(1, 16)]
            case 2:
                broken[at:at] = broken[at : at + random.randint(1, 64)]
            case _:
                broken[at:at] = random.randbytes(random.randint(1, 16))
    return bytes(broken)


def _fuzz_messages(
    message: Message, field: FieldDescriptor, random: Random, depth: int, *, repeated: bool
) -> None:
    if depth >= _DEEPEST:
        return
    if repeated:
        for _ in range(random.randint(0, _MOST)):
            fuzz(getattr(message, field.name).add(), random, depth + 1)
    else:
        inner = getattr(message, field.name)
        inner.SetInParent()
        fuzz(inner, random, depth + 1)


def _scalar(field: FieldDescriptor, random: Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return random.randbytes(random.randint(0, 300))
        case FieldDescriptor.CPPTYPE_STRING:
            return random.choice(_TEXTS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return random.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return random.choice(_NUMBERS)
        case FieldDescriptor.CPPTYPE_FLOAT:
            return struct.unpack("f", random.randbytes(4))[0]
        case FieldDescriptor.CPPTYPE_INT64:
            return random.choice(_INTEGERS + _LONG_INTEGERS)
        case FieldDescriptor.CPPTYPE_UINT64 | FieldDescriptor.CPPTYPE_UINT32:
            return random.randrange(2**32)
        case _:
            return random.choice(_INTEGERS)
