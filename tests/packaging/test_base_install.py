"""A register's install, made from the wheel and the hashed requirements in a clean environment."""

import json
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIZE_LIMIT_BYTES = 45_000_000
# What the venv module itself brings; a register's image does not need it.
INSTALLERS = ("pip", "setuptools", "_distutils_hack", "distutils-precedence", "pkg_resources")
NOT_FOR_A_REGISTER = (
    "numpy",
    "onnxruntime",
    "aiosqlite",
    "obstore",
    "tritonclient",
    "typer",
    "rich",
    "uvloop",
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Install:
    """An environment with the base install in it."""

    python: Path
    site_packages: Path

    def run(self, *arguments: str) -> str:
        """Run its interpreter away from the checkout and return what it prints."""
        command = [str(self.python), "-I", *arguments]
        done = subprocess.run(
            command, cwd=self.site_packages, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("posgate-*.whl")
    return built


@pytest.fixture(scope="module")
def register(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Install:
    folder = tmp_path_factory.mktemp("register")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    requirements = str(ROOT / "requirements" / "terminal.txt")
    subprocess.run([*pip, "--require-hashes", "--requirement", requirements], check=True)
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    (site_packages,) = folder.glob("lib/python3.*/site-packages")
    return Install(python, site_packages)


def test_the_wheel_holds_the_three_layers_and_the_contract_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    metadata = {name.split("/")[0] for name in names if ".dist-info/" in name}
    assert {name.split("/")[0] for name in names} - metadata == {
        "gateway",
        "terminal_client",
        "cloud_sync",
        "posgate",
    }
    typed = {"gateway", "terminal_client", "cloud_sync", "posgate"}
    assert {f"{package}/py.typed" for package in typed} <= set(names)
    assert {path.name for path in (ROOT / "protos/posgate/v1").glob("*.proto")} == {
        Path(name).name for name in names if name.startswith("posgate/v1/") and ".proto" in name
    }


def test_the_pinned_requirements_are_all_that_the_wheel_asks_for(register: Install) -> None:
    assert "No broken requirements found" in register.run("-m", "pip", "check")


def test_a_register_imports_the_client_and_the_contract(register: Install) -> None:
    program = """
import importlib, json, pkgutil, sys, time
began = time.perf_counter()
import grpc, posgate.v1, terminal_client
for package in (posgate.v1, terminal_client):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(json.dumps([(time.perf_counter() - began) * 1000, sorted(sys.modules)]))
"""
    import_ms, modules = json.loads(register.run("-W", "error", "-c", program))
    print(f"base install: imports take {import_ms:.0f} ms")
    assert {"posgate.v1.decision_pb2", "posgate.v1.decision_pb2_grpc"} <= set(modules)
    assert "terminal_client.core" in modules


@pytest.mark.parametrize("package", NOT_FOR_A_REGISTER)
def test_a_register_does_not_carry(register: Install, package: str) -> None:
    program = f"import importlib.util; print(importlib.util.find_spec({package!r}))"
    assert register.run("-c", program).strip() == "None"


def test_a_register_s_install_is_small(register: Install) -> None:
    sizes: dict[str, int] = {}
    for path in register.site_packages.rglob("*"):
        top = path.relative_to(register.site_packages).parts[0]
        if path.is_file() and not top.startswith(INSTALLERS):
            sizes[top] = sizes.get(top, 0) + path.stat().st_size
    total = sum(sizes.values())
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    print(f"base install: {total / 1e6:.1f} MB, largest {largest}")
    assert total <= SIZE_LIMIT_BYTES, largest


def test_the_probe_s_help_works_on_the_base_install(register: Install) -> None:
    done = subprocess.run(
        [str(register.python.parent / "posgate-terminal"), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "usage: posgate-terminal" in done.stdout
