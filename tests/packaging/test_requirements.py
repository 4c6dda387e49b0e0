"""The requirements files: hashed, without addresses, one version of everything, no drift."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "requirements").glob("*.txt"))
# Which extras and groups of pyproject.toml each file must satisfy.
COVERS = {
    "terminal": ([], []),
    "gateway": (["gateway"], []),
    "dev": (["gateway", "cloud"], ["dev"]),
    "train": (["gateway", "cloud", "train"], ["dev"]),
}
BOX = {"sys_platform": "linux", "platform_machine": "x86_64", "os_name": "posix"}


def pins(path: Path) -> dict[str, list[Requirement]]:
    """Return the requirements in a file by canonical name."""
    found: dict[str, list[Requirement]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line.removesuffix("\\").strip())
            found.setdefault(canonical(requirement.name), []).append(requirement)
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(name: str) -> list[Requirement]:
    """Return what pyproject.toml asks for, with its own extras and groups unfolded."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras, groups = COVERS[name]
    texts = [*project["project"]["dependencies"]]
    for extra in extras:
        texts += project["project"]["optional-dependencies"][extra]
    for group in groups:
        texts += unfold(project["dependency-groups"], group)
    asked = [Requirement(text) for text in texts]
    for own in [item for item in asked if item.name == "posgate"]:
        asked.remove(own)
        for extra in own.extras:
            table = project["project"]["optional-dependencies"]
            asked += [Requirement(text) for text in table[extra]]
    return asked


def unfold(groups: dict[str, list[str | dict[str, str]]], name: str) -> list[str]:
    texts: list[str] = []
    for item in groups[name]:
        texts += [item] if isinstance(item, str) else unfold(groups, item["include-group"])
    return texts


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_line_is_pinned_and_hashed_and_names_no_index(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
    assert "://" not in text
    assert not re.search(r"^\s*--(index|extra-index|find-links|trusted)", text, re.MULTILINE)


@pytest.mark.parametrize("name", COVERS)
def test_the_pins_satisfy_what_pyproject_asks_for(name: str) -> None:
    pinned = pins(ROOT / "requirements" / f"{name}.txt")
    asked = declared(name)
    assert asked
    for requirement in asked:
        (version,) = {
            str(pin.specifier).removeprefix("==") for pin in pinned[canonical(requirement.name)]
        }
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_a_package_has_one_version_in_every_file() -> None:
    seen: dict[str, set[str]] = {}
    for path in FILES:
        for name, requirements in pins(path).items():
            seen.setdefault(name, set()).update(str(item.specifier) for item in requirements)
    assert {name: versions for name, versions in seen.items() if len(versions) > 1} == {}


def test_one_onnxruntime_is_installed_on_a_box() -> None:
    pinned = pins(ROOT / "requirements" / "gateway.txt")
    chosen = [
        item.name
        for name in ("onnxruntime", "onnxruntime-gpu")
        for item in pinned[name]
        if item.marker is None or item.marker.evaluate(BOX)
    ]
    assert chosen == ["onnxruntime-gpu"]


def test_the_stub_generator_stays_below_protobuf_7() -> None:
    pinned = pins(ROOT / "requirements" / "dev.txt")
    assert [str(item.specifier) for item in pinned["grpcio-tools"]] == ["==1.80.0"]
    (protobuf,) = pinned["protobuf"]
    assert Requirement("protobuf>=6.33.5,<7").specifier.contains(str(protobuf.specifier)[2:])
