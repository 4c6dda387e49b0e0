"""Our canonical bytes are those that python-tuf signs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from terminal_client.core.canonical_json import (
    DEEPEST,
    MOST_VALUES,
    CanonicalJsonError,
    encode,
    parse,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=30,
)


@given(VALUES)
def test_equal_to_securesystemslib(value: Any) -> None:
    assert encode(value) == (encode_canonical(value) or "").encode()


@given(VALUES)
def test_canonical_bytes_do_not_depend_on_how_the_document_was_written(value: object) -> None:
    pretty = json.dumps(value, indent=3, ensure_ascii=False).encode()
    escaped = json.dumps(value, ensure_ascii=True, sort_keys=True).encode()
    assert encode(parse(pretty)) == encode(parse(escaped)) == encode(value)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_raise_the_one_error(raw: bytes) -> None:
    try:
        value = parse(raw)
    except CanonicalJsonError:
        return
    encode(value)


def test_a_tuple_is_a_list() -> None:
    assert encode((1, "a")) == b'[1,"a"]'


@pytest.mark.parametrize("value", [1.5, {1: 2}, b"raw", object()], ids=repr)
def test_what_canonical_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(CanonicalJsonError, match="holds a"):
        encode(value)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(CanonicalJsonError, match="surrogate"):
        encode(parse(b'"\\ud800"'))


def test_nesting_ends_at_the_limit() -> None:
    def nested(levels: int) -> bytes:
        return b"[" * levels + b"]" * levels

    assert encode(parse(nested(DEEPEST))) == nested(DEEPEST)
    with pytest.raises(CanonicalJsonError, match="nests"):
        parse(nested(DEEPEST + 1))
    with pytest.raises(CanonicalJsonError, match="nests"):
        encode([parse(nested(DEEPEST))])


def test_the_number_of_values_ends_at_the_limit() -> None:
    values = [0] * (MOST_VALUES - 1)
    assert len(encode(values)) == 2 * len(values) + 1
    with pytest.raises(CanonicalJsonError, match="more than 50000 values"):
        encode([*values, 0])
