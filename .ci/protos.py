"""Generate the stubs beside the .proto files, and guard the contract.

    generate   write ``*_pb2*`` beside every .proto (``make protos``)
    drift      fail when the committed stubs are not what generate would write
    lint       ``buf lint``
    breaking   ``buf breaking`` against every published state of the contract

A published state is a commit that added or changed ``protos/posgate/v1/PUBLISHED``, or a release
tag ``v*``. Exit status: 0 clean, 1 the contract or its stubs are wrong, 2 the check could not run.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
BUF = ROOT / ".ci" / "buf" / "node_modules" / ".bin" / "buf"
# buf's own exit status for "found something"; any other failure means that it could not look.
BUF_FINDINGS = 100
MARK = "protos/posgate/v1/PUBLISHED"
STUBS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")
# What the contract imports from google/rpc. protoc finds them in site-packages, buf needs a copy.
FOREIGN = ("google/rpc/status.proto",)


class CheckError(Exception):
    """The check could not run; the message says why and what to do."""


def site_packages() -> Path:
    """Return the folder that holds google/rpc/*.proto (googleapis-common-protos)."""
    spec = find_spec("google.rpc")
    if spec is None or not spec.submodule_search_locations:
        raise CheckError("googleapis-common-protos is not installed: run make setup")
    return Path(next(iter(spec.submodule_search_locations))).parent.parent


def generate(target: Path) -> None:
    """Write the stubs of every .proto under ``target``; gRPC stubs only where services are."""
    sources = sorted(PROTOS.rglob("*.proto"))
    services = [path for path in sources if "\nservice " in path.read_text(encoding="utf-8")]
    _protoc(sources, target, "python", "mypy")
    if services:
        _protoc(services, target, "grpc_python", "mypy_grpc")


def _protoc(sources: list[Path], target: Path, *plugins: str) -> None:
    includes = [f"-I{PROTOS}", f"-I{site_packages()}"]
    # The two mypy plugins are programs that protoc looks up beside this interpreter.
    programs = [
        f"--plugin=protoc-gen-{name}={Path(sys.executable).parent / f'protoc-gen-{name}'}"
        for name in ("mypy", "mypy_grpc")
        if name in plugins
    ]
    outputs = [
        f"--{plugin}_out={'quiet:' if 'mypy' in plugin else ''}{target}" for plugin in plugins
    ]
    command = [sys.executable, "-W", "ignore", "-m", "grpc_tools.protoc"]
    command += [*includes, *programs, *outputs, *(str(path) for path in sources)]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(1)


def stubs(folder: Path) -> dict[str, bytes]:
    """Return every generated file under ``folder`` by its relative name."""
    found = {path for pattern in STUBS for path in folder.rglob(pattern)}
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(found)}


def write() -> int:
    """Replace the committed stubs, removing those whose .proto is gone."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        wanted = stubs(Path(scratch))
    for name in stubs(PROTOS).keys() - wanted.keys():
        (PROTOS / name).unlink()
    for name, content in wanted.items():
        (PROTOS / name).write_bytes(content)
    print(f"{len(wanted)} generated files")
    return 0


def drift() -> int:
    """Compare the committed stubs with freshly generated ones."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        wanted = stubs(Path(scratch))
    committed = stubs(PROTOS)
    stale = sorted(
        name for name in wanted.keys() | committed.keys() if wanted.get(name) != committed.get(name)
    )
    for name in stale:
        print(f"protos/{name} is not what make protos writes", file=sys.stderr)
    print(f"{len(wanted)} generated files, {len(stale)} stale")
    return 1 if stale else 0


@contextmanager
def buf_workspace(protos: Path) -> Iterator[Path]:
    """Yield a temporary copy of ``protos`` that also holds the foreign files it imports."""
    with tempfile.TemporaryDirectory() as scratch:
        space = Path(scratch)
        (space / "buf.yaml").write_bytes((PROTOS / "buf.yaml").read_bytes())
        for source in protos.rglob("*.proto"):
            _place(space / source.relative_to(protos), source.read_bytes())
        for name in FOREIGN:
            _place(space / name, (site_packages() / name).read_bytes())
        yield space


def _place(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _clean(*arguments: str) -> bool:
    """Run buf and return whether it found nothing."""
    if not BUF.exists():
        raise CheckError("buf is not installed: run make buf (needs npm)")
    status = subprocess.run([str(BUF), *arguments], check=False).returncode
    if status not in (0, BUF_FINDINGS):
        raise CheckError(f"buf {arguments[0]} ended with status {status}")
    return status == 0


def lint() -> int:
    """Run ``buf lint`` over our own files."""
    with buf_workspace(PROTOS) as space:
        return 0 if _clean("lint", str(space)) else 1


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise CheckError(
            f"git {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout


def published_states() -> list[str]:
    """Return the commits and tags whose contract must stay readable, newest first."""
    if _git("rev-parse", "--is-shallow-repository").strip() == b"true":
        raise CheckError(
            "the clone is shallow, so published contracts are missing: fetch --unshallow"
        )
    marked = _git("log", "--diff-filter=AM", "--format=%H", "--", MARK).decode().split()
    if not marked:
        raise CheckError(f"no commit holds {MARK}: the contract has not been published")
    return [*_git("tag", "--list", "v*", "--merged", "HEAD").decode().split(), *marked]


def _check_out(state: str, target: Path) -> None:
    """Write the .proto files of a commit or tag under ``target``."""
    for name in _git("ls-tree", "-r", "--name-only", state, "protos").decode().splitlines():
        if name.endswith(".proto"):
            _place(target / name, _git("show", f"{state}:{name}"))


def breaking() -> int:
    """Run ``buf breaking`` against every published state; each must still be readable."""
    readable = True
    with buf_workspace(PROTOS) as current:
        for state in published_states():
            with tempfile.TemporaryDirectory() as scratch:
                _check_out(state, Path(scratch))
                with buf_workspace(Path(scratch) / "protos") as old:
                    compatible = _clean("breaking", str(current), "--against", str(old))
            print(f"against {state[:12]}: {'compatible' if compatible else 'BREAKING'}", flush=True)
            readable = readable and compatible
    return 0 if readable else 1


COMMANDS: dict[str, Callable[[], int]] = {
    "generate": write,
    "drift": drift,
    "lint": lint,
    "breaking": breaking,
}


def main() -> int:
    """Run the named command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=COMMANDS)
    try:
        return COMMANDS[parser.parse_args().command]()
    except CheckError as error:
        print(f"protos: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
