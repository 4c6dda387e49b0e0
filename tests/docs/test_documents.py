"""The documents keep their word: links resolve, commands exist, nothing names one machine."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the project, those not committed yet included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
    listed = subprocess.run([*command, *patterns], cwd=ROOT, check=True, capture_output=True)
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return sorted(ROOT / name for name in set(names) if (ROOT / name).is_file())


def documents() -> list[Path]:
    found = tracked("*.md")
    assert ROOT / "README.md" in found
    return found


def of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """Return a document without its fenced code, in which a link is only an example."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as a forge makes them."""
    found: dict[str, int] = {}
    names = set()
    for title in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", prose(path), flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = found.get(slug, 0)
        found[slug] = count + 1
        names.add(f"{slug}-{count}" if count else slug)
    return names


def relative_links(path: Path) -> Iterator[str]:
    text = prose(path)
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


def code_in(path: Path) -> str:
    """Return the fenced and inline code of a document."""
    text = path.read_text(encoding="utf-8")
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", prose(path))
    return "\n".join([*fenced, *inline])


def make_commands(text: str) -> set[str]:
    words = {word for match in MAKE.findall(text) for word in match.split()}
    return {word for word in words if "=" not in word}


@pytest.mark.parametrize("path", documents(), ids=of)
def test_every_make_command_in_a_document_exists(path: Path) -> None:
    assert make_commands(code_in(path)) - make_targets() == set()


def test_the_readme_names_the_two_commands_and_help_lists_every_target() -> None:
    assert {"demo", "test"} <= make_commands(code_in(ROOT / "README.md"))
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
