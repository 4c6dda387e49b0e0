"""The project's files and documents, as the tests of the documents read them."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?:```|~~~)(\w*)[^\n]*\n(.*?)^(?:```|~~~)", flags=re.MULTILINE | re.DOTALL)


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the project, those not committed yet included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
    listed = subprocess.run([*command, *patterns], cwd=ROOT, check=True, capture_output=True)
    names = {name for name in listed.stdout.decode().split("\0") if name}
    return sorted(ROOT / name for name in names if (ROOT / name).is_file())


def documents() -> list[Path]:
    """Return every Markdown document."""
    found = tracked("*.md")
    assert ROOT / "README.md" in found
    return found


def of(path: Path) -> str:
    """Return a path as the project writes it."""
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """Return a document's text without its fenced code, in which a link is only an example."""
    return FENCE.sub("", text)


def code(text: str) -> str:
    """Return the fenced and inline code of a document's text."""
    fenced = [body for _, body in FENCE.findall(text)]
    inline = re.findall(r"`([^`\n]+)`", prose(text))
    return "\n".join([*fenced, *inline])
