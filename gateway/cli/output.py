"""What commands print: data to standard output, words to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from gateway.exits import Exit


class Output(StrEnum):
    """The form of the data."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("-o", "--output", help="Form of the data; JSON is a contract.")
]


def fail(status: Exit, problem: str, next_step: str = "") -> NoReturn:
    """Say what is wrong and what to do next, and end."""
    say(f"error: {problem}")
    if next_step:
        say(f"  next: {next_step}")
    raise typer.Exit(status)


def say(words: str) -> None:
    """Say something to the person."""
    print(words, file=sys.stderr)


def show_json(document: object) -> None:
    """Print a document."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def show_table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows with aligned columns."""
    lines = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)] if lines else []
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
