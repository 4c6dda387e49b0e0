"""The signing keys of a tree, as files: one PKCS#8 PEM per key, readable by its owner alone.

Owns which role has how many keys, and their files. An offline role's file belongs on a medium
of its own; whoever signs mounts those that are needed, and a signing that finds too few says
which are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from cloud_sync.durable_files import replace_file

OFFLINE_KEY_COUNT = 3
OFFLINE_THRESHOLD = 2
OFFLINE_ROLES = ("root", "targets")


class MissingKeyError(Exception):
    """A role has fewer key files here than its threshold asks for."""

    def __init__(self, role: str, folder: Path, found_count: int, needed_count: int) -> None:
        super().__init__(
            f"{role} needs {needed_count} keys and {folder} holds {found_count}: "
            f"bring more {role}-*.pem files"
        )
        self.role = role


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFolder:
    """Key files named ``<role>-<number>.pem``. Reading looks at the folder each time."""

    path: Path

    def create(self, roles: Mapping[str, int]) -> None:
        """Make ``roles[role]`` new keys for each role.

        Raises: FileExistsError: the folder holds keys already.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(self.path.glob("*.pem")):
            raise FileExistsError(f"{self.path} holds keys already")
        for role, count in roles.items():
            for _ in range(count):
                self.add(role)

    def add(self, role: str) -> CryptoSigner:
        """Make one more key for ``role``, beside those it has; return its signer."""
        signer = CryptoSigner.generate_ed25519()
        number = 1 + max((_number(path) for path in self._files(role)), default=0)
        replace_file(self.path / f"{role}-{number}.pem", signer.private_bytes, mode=0o600)
        return signer

    def remove(self, keyid: str, role: str) -> None:
        """Delete the file of a key that ``role`` no longer uses."""
        for path in self._files(role):
            if _load(path).public_key.keyid == keyid:
                path.unlink()

    def signers(self, role: str) -> tuple[CryptoSigner, ...]:
        """Return the signers of all key files of ``role``, oldest first."""
        return tuple(_load(path) for path in self._files(role))

    def _files(self, role: str) -> list[Path]:
        files = (path for path in self.path.glob(f"{role}-*.pem") if _number(path))
        own = (path for path in files if path.stem.rpartition("-")[0] == role)
        return sorted(own, key=_number)


def _number(path: Path) -> int:
    tail = path.stem.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def _load(path: Path) -> CryptoSigner:
    return CryptoSigner(load_pem_private_key(path.read_bytes(), None))
