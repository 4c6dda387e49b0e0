"""The schema that rules are checked against comes from the core's own dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Optional

from terminal_client.core.expression_types import (
    BOOL,
    INT,
    STRING,
    Field,
    list_of,
    map_of,
    message,
    schema_of,
)


class Colour(IntEnum):
    RED = 1


@dataclass
class Leaf:
    name: str


@dataclass
class Other:
    leaf: Leaf


@dataclass
class Root:
    count: int
    sure: bool
    colour: Colour
    leaf: Leaf
    maybe: Leaf | None
    old_style: Optional[int]  # noqa: UP045 - both spellings are in use
    either: int | str
    leaves: tuple[Leaf, ...]
    ages: Mapping[str, int]
    times: tuple[datetime, ...]
    when: datetime
    maybe_when: datetime | None
    ratio: float
    raw: bytes
    secret: int
    names: list[str]


def test_every_readable_field_has_its_type_and_the_rest_is_left_out() -> None:
    schema = schema_of(Root, Other, hidden=("Root.secret",))
    assert schema == {
        "Root": {
            "count": Field(INT),
            "sure": Field(BOOL),
            "colour": Field(INT),
            "leaf": Field(message("Leaf")),
            "maybe": Field(message("Leaf"), optional=True),
            "old_style": Field(INT, optional=True),
            "leaves": Field(list_of(message("Leaf"))),
            "ages": Field(map_of(STRING, INT)),
        },
        "Leaf": {"name": Field(STRING)},
        "Other": {"leaf": Field(message("Leaf"))},
    }
