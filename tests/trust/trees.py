"""A real signed tree, and the hands of somebody who holds some of its keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata
from tuf.api.serialization.json import JSONSerializer

from cloud_sync.publisher.repository import Repository
from terminal_client.core.trust import Evidence, Followed, Trusted, verify
from terminal_client.core.trust_memory import Memory
from terminal_client.signatures import verify_signature

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FOLLOWED = Followed(ring="fleet", channel="rules", name="store")
BUNDLE = b"the rules of 1.0.0"


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A tree with ``rules/store`` 1.0.0 on ring ``fleet``; ``pinned`` is its first root."""

    repository: Repository
    pinned: bytes

    @classmethod
    def make(cls, folder: Path) -> Tree:
        repository = Repository.init(folder / "tree", folder / "keys", now=NOW)
        tree = cls(repository=repository, pinned=repository.root)
        tree.release("1.0.0", BUNDLE)
        return tree

    @classmethod
    def at(cls, folder: Path) -> Tree:
        repository = Repository.open(folder / "tree", folder / "keys")
        return cls(repository=repository, pinned=repository.root)

    def release(self, version: str, bundle: bytes, floor: str | None = None) -> int:
        self.repository.publish("rules", "store", version, bundle, NOW, now=NOW, floor=floor)
        return self.repository.promote("fleet", "rules", "store", version, now=NOW)

    def read(self, name: str) -> bytes:
        return (self.repository.path / "metadata" / f"{name}.json").read_bytes()

    def evidence(self, ring: str = "fleet") -> Evidence:
        folder = self.repository.path / "metadata"
        newest = max(int(path.name.split(".")[0]) for path in folder.glob("*.root.json"))
        return Evidence(
            roots=tuple(self.read(f"{version}.root") for version in range(2, newest + 1)),
            delegation=self.read("targets"),
            release=self.read("rules"),
            pointer=self.read(ring),
        )

    def forged(self, role: str, change: Callable[[Any], None], *signers: str) -> bytes:
        """Return the role's document, changed, and signed with the keys of ``signers``."""
        document = Metadata[Any].from_bytes(self.read(role))
        change(document.signed)
        document.signatures.clear()
        for name in signers:
            for signer in self.repository.keys.signers(name):
                document.sign(signer, append=True)
        return document.to_bytes(JSONSerializer())


def check(tree: Tree, seen: Memory | None = None, /, **changes: Any) -> Trusted:
    """Verify the tree's evidence, with some documents replaced."""
    evidence = replace(tree.evidence(), **changes)
    return verify(evidence, FOLLOWED, tree.pinned, seen or Memory(), verify_signature)
