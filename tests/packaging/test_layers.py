"""What the import contracts cannot say: an allow-list, where they know only forbidden names."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
# Pure parts of the standard library. A new name here must do no I/O and read no clock.
CORE_MAY_IMPORT = {
    "__future__",
    "abc",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "string",
    "struct",
    "types",
    "typing",
    "unicodedata",
    "zlib",
}
COMPOSITION_ROOTS = ("gateway.serving", "gateway.control")
CONCRETE_RUNTIMES = ("gateway.inference.onnx", "gateway.inference.triton")
# A database, an upload or a signature check of metadata in this process would ruin its tail.
NOT_FOR_SERVING = {"aiosqlite", "obstore", "securesystemslib", "sqlite3", "tuf"}
CLOCKS_AND_IO = {"now", "utcnow", "today", "open", "print", "input", "breakpoint"}


def imported(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, package
    return found


def of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_allow_list_is_standard_library() -> None:
    assert sys.stdlib_module_names >= CORE_MAY_IMPORT


@pytest.mark.parametrize("path", modules("terminal_client/core"), ids=of)
def test_the_core_imports_only_pure_standard_library(path: Path) -> None:
    foreign = {
        name
        for name in imported(path)
        if name.split(".")[0] not in CORE_MAY_IMPORT
        and name != "terminal_client.core"
        and not name.startswith("terminal_client.core.")
    }
    assert foreign == set()


@pytest.mark.parametrize("path", modules("terminal_client/core"), ids=of)
def test_the_core_reads_no_clock_and_does_no_io(path: Path) -> None:
    calls = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert calls & CLOCKS_AND_IO == set()


@pytest.mark.parametrize("path", modules("cloud_sync"), ids=of)
def test_cloud_sync_sees_only_the_core_of_the_terminal(path: Path) -> None:
    seen = {name for name in imported(path) if name.split(".")[0] == "terminal_client"}
    assert {name for name in seen if not f"{name}.".startswith("terminal_client.core.")} == set()


@cache
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(
        "gateway",
        "cloud_sync",
        "terminal_client",
        include_external_packages=True,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )


def inside(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def test_only_the_composition_roots_name_a_concrete_runtime() -> None:
    concrete = {name for name in imports().modules if inside(name, CONCRETE_RUNTIMES)}
    assert "gateway.inference.onnx" in concrete
    importers = {
        f"{importer} -> {name}"
        for name in concrete
        for importer in imports().find_modules_that_directly_import(name)
        if not inside(importer, (*COMPOSITION_ROOTS, *CONCRETE_RUNTIMES))
    }
    assert importers == set()


def test_the_serving_process_reaches_no_database_and_no_uploads() -> None:
    graph = imports()
    roots = {name for name in graph.modules if inside(name, ("gateway.serving",))}
    assert roots, "gateway.serving does not exist"
    chains = {
        " -> ".join(chain)
        for root in roots
        for banned in NOT_FOR_SERVING & graph.modules
        if (chain := graph.find_shortest_chain(importer=root, imported=banned))
    }
    assert chains == set()
