"""OLPC canonical JSON: the bytes that a TUF signature is over.

Owns strict parsing and re-encoding. Refuses what canonical JSON cannot say (floats, repeated
keys) and what nobody signs in earnest (deep nesting, huge documents), so that a document has
one meaning before anybody looks at its signatures.
"""

from __future__ import annotations

import json

LONGEST_DOCUMENT = 512 * 1024
"""Bytes: a channel with more than a thousand releases. What is read here is not believed yet,
so it must not cost seconds."""
MOST_VALUES = 50_000
"""Values of any kind, those inside others included."""
DEEPEST = 32
"""Levels of objects and lists. TUF metadata has fewer than ten."""


class CanonicalJsonError(ValueError):
    """The bytes or the value have no canonical form."""


def parse(raw: bytes) -> object:
    """Return the JSON value in ``raw`` (UTF-8, at most ``LONGEST_DOCUMENT`` bytes).

    Raises:
        CanonicalJsonError: it is no JSON, too long, too deep or too full, repeats a key, or
            holds a float.
    """
    if len(raw) > LONGEST_DOCUMENT:
        raise CanonicalJsonError(f"has {len(raw)} bytes, more than {LONGEST_DOCUMENT}")
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except CanonicalJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise CanonicalJsonError("is no JSON in UTF-8") from error
    _check_size(value)
    return value


def encode(value: object) -> bytes:
    """Return the canonical bytes of ``value``.

    Raises:
        CanonicalJsonError: it holds something else than objects with string keys, lists,
            strings, integers, booleans and null, nests too deeply or holds too much.
    """
    _check_size(value)
    try:
        return _text(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CanonicalJsonError("holds half a surrogate pair") from error


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(_text(item) for item in value)}]"
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return f"{{{','.join(f'{_quoted(key)}:{_text(value[key])}' for key in sorted(value))}}}"
    raise CanonicalJsonError(f"holds a {type(value).__name__}")


def _quoted(text: str) -> str:
    # Only these two are escaped: control characters stand for themselves.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _check_size(value: object) -> None:
    # Level by level: recursion would be as deep as whoever wrote the document likes.
    level, count = [value], 1
    for _ in range(DEEPEST):
        inner: list[object] = []
        for container in level:
            if isinstance(container, dict):
                inner.extend(container.values())
            elif isinstance(container, list | tuple):
                inner.extend(container)
        count += len(inner)
        if count > MOST_VALUES:
            raise CanonicalJsonError(f"holds more than {MOST_VALUES} values")
        level = [each for each in inner if isinstance(each, dict | list | tuple)]
        if not level:
            return
    raise CanonicalJsonError(f"nests more than {DEEPEST} levels")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise CanonicalJsonError("repeats a key")
    return value


def _refuse_number(text: str) -> object:
    raise CanonicalJsonError(f"holds the number {text:.20}, which is no integer")
