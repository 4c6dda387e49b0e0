"""Every name that a document gives as code (metric, code word, command) exists in the code."""

import importlib
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import FENCE, code, documents, of, tracked

METRIC = re.compile(r"\bposgate_[a-z0-9_]+\b(?!\.)")
CODE_WORD = re.compile(r"(?<![\w.-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w-])")
COMMAND = re.compile(r"(?:^|[\s`(;&|])posgate((?: [a-z][a-z-]*)+)", flags=re.MULTILINE)
# What Prometheus adds to the name that the code gives.
ADDED = re.compile(r"_(?:bucket|count|sum|created|total)$")


@cache
def source() -> str:
    """Return all code but the documents' own tests."""
    patterns = (
        "*.py",
        "*.proto",
        "*.json",
        "*.toml",
        "*.yml",
        "*.yaml",
        "*.sh",
        "Makefile",
        ".ci/run",
    )
    paths = [path for path in tracked(*patterns) if "tests/docs" not in path.as_posix()]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


@cache
def words() -> frozenset[str]:
    return frozenset(re.findall(r"\w+", source()))


def unknown_metrics(text: str) -> set[str]:
    named = set(METRIC.findall(text))
    return {name for name in named if not {name, ADDED.sub("", name)} & words()}


def unknown_code_words(text: str) -> set[str]:
    return set(CODE_WORD.findall(text)) - words()


@cache
def program() -> Any:
    """Return the ``posgate`` command tree."""
    typer = importlib.import_module("typer")
    return typer.main.get_command(importlib.import_module("gateway.cli.main").app)


def unknown_commands(text: str) -> set[str]:
    """Return the ``posgate`` command lines that lead to no command."""
    unknown = set()
    for match in COMMAND.findall(text):
        node = program()
        for word in match.split():
            children = getattr(node, "commands", None)
            if children is None:
                break
            if word not in children:
                unknown.add(f"posgate{match}")
                break
            node = children[word]
    return unknown


@pytest.mark.parametrize("path", documents(), ids=of)
def test_every_metric_in_a_document_exists(path: Path) -> None:
    assert unknown_metrics(code(path.read_text(encoding="utf-8"))) == set()


@pytest.mark.parametrize("path", documents(), ids=of)
def test_every_code_word_in_a_document_exists(path: Path) -> None:
    assert unknown_code_words(code(path.read_text(encoding="utf-8"))) == set()


@pytest.mark.parametrize("path", documents(), ids=of)
def test_every_command_in_a_document_exists(path: Path) -> None:
    assert unknown_commands(code(path.read_text(encoding="utf-8"))) == set()


@pytest.mark.parametrize("path", documents(), ids=of)
def test_every_toml_example_is_toml(path: Path) -> None:
    for language, body in FENCE.findall(path.read_text(encoding="utf-8")):
        if language == "toml":
            tomllib.loads(body)


def test_an_invented_metric_or_code_word_is_noticed() -> None:
    text = "Watch `posgate_invented_total`, not plain posgate_prose.\n```\nNO_SUCH_REASON\n```\n"
    assert unknown_metrics(code(text)) == {"posgate_invented_total"}
    assert unknown_code_words(code(text)) == {"NO_SUCH_REASON"}
    assert unknown_code_words(code("`ACCEPTED_UNVERIFIED`")) == set()
