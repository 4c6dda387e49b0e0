"""The documents keep their word: links resolve, commands exist, nothing names one machine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, code, documents, of, prose, tracked

LINK = re.compile(r"(?<!\\)\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
IMAGE = re.compile(r"<img[^>]+src=\"([^\"]+)\"")
MAKE = re.compile(r"(?:^|[`$(;&|]|\s)make ((?:[a-z][a-z-]*|[A-Z]+=\S+)(?: [A-Z]+=\S+)*)")
# Put together from parts, so that this file does not hold what it looks for.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("pypi", "nvidia", "com"),
    )
)
MACHINE = tuple("/" + part + "/" for part in ("work", "root", "opt/pypi", "opt/wheels"))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as a forge makes them."""
    found: dict[str, int] = {}
    names = set()
    text = prose(path.read_text(encoding="utf-8"))
    for title in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", text, flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = found.get(slug, 0)
        found[slug] = count + 1
        names.add(f"{slug}-{count}" if count else slug)
    return names


def relative_links(path: Path) -> Iterator[str]:
    text = prose(path.read_text(encoding="utf-8"))
    for target in [*LINK.findall(text), *IMAGE.findall(text)]:
        if not re.match(r"[a-z][a-z0-9+.-]*:", target):
            yield target


@pytest.mark.parametrize("path", documents(), ids=of)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    broken = []
    for target in relative_links(path):
        name, _, anchor = target.partition("#")
        goal = (path.parent / name).resolve() if name else path
        inside = goal.exists() and ROOT in [goal, *goal.parents]
        if not inside or (anchor and goal.suffix == ".md" and anchor not in anchors(goal)):
            broken.append(target)
    assert broken == []


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))


def make_commands(text: str) -> set[str]:
    words = {word for match in MAKE.findall(text) for word in match.split()}
    return {word for word in words if "=" not in word}


@pytest.mark.parametrize("path", documents(), ids=of)
def test_every_make_command_in_a_document_exists(path: Path) -> None:
    assert make_commands(code(path.read_text(encoding="utf-8"))) - make_targets() == set()


def test_the_readme_names_the_two_commands_and_help_lists_every_target() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {"demo", "test"} <= make_commands(code(readme))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    explained = set(re.findall(r"^([a-z][a-z-]*):.*## \S", makefile, flags=re.MULTILINE))
    assert make_targets() == explained
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert set(phony.split()) == explained


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            yield path, content.decode("utf-8")


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    marks = (*REGISTRIES, *MACHINE)
    found = [
        f"{of(path)}: {mark}"
        for path, text in texts()
        for mark in marks
        if re.search(rf"(?<![\w.-]){re.escape(mark)}", text)
    ]
    assert found == []


def test_the_paths_and_hosts_that_are_looked_for_would_be_found() -> None:
    for mark in (*REGISTRIES, *MACHINE):
        assert re.search(rf"(?<![\w.-]){re.escape(mark)}", f"see {mark}simple")
