"""What make says on a machine that cannot run posgate, and that its stamps hold."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Inside `make test` the outer make would otherwise pass its own flags and variables on.
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("target", ["demo", "test"])
def test_an_unfit_python_is_named_with_a_remedy(target: str, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    done = make(target, f"VENV={environment}", "PYTHON=/bin/false")
    assert done.returncode != 0
    assert "posgate needs Python 3.11 or newer; '/bin/false' is older or missing" in done.stderr
    assert f"make {target} PYTHON=" in done.stderr
    assert not environment.exists()


def test_a_failed_environment_leaves_nothing_half_made(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    python = tmp_path / "python"
    # Passes the version check, and then cannot make an environment (as without python3-venv).
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 0\nmkdir -p {environment}/bin\nexit 1\n')
    python.chmod(0o755)
    done = make("setup", f"VENV={environment}", f"PYTHON={python}")
    assert done.returncode != 0
    assert "install python3-venv" in done.stderr
    assert not environment.exists()


def test_the_two_commands_set_up_first_and_then_run(tmp_path: Path) -> None:
    for target, program in (("demo", "examples.complete_journey.demo"), ("test", "pytest")):
        planned = make("-n", target, f"VENV={tmp_path / 'venv'}").stdout
        assert planned.index("requirements/dev.txt") < planned.index(f"-m {program}")
