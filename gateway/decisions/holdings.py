"""What serving holds: rules, models and feature tables, and which of them decide.

Owns the four verbs control drives (stage, canary, flip, unload) and the active set. A flip
is one assignment on the event loop: a call sees the old set or the new one, never a mix of
both. What decided before stays loaded, so going back is instant.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from gateway.features.assembly import Assembler
from gateway.features.cart import CartEncoder
from gateway.features.tables import FeatureBundle, TableSet, load_manifest
from gateway.inference.canary import run_canary
from gateway.inference.errors import CanaryError, ModelRefusedError
from gateway.inference.runtime import Runtime
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.manifest import FeaturesManifest, ModelManifest, Scope
from terminal_client.core.reading import DocumentError
from terminal_client.core.redemptions import RedemptionView

_FAILURES_TO_DISTRUST = 3


class ArtifactState(IntEnum):
    """What an artifact does; the numbers of ``posgate.box.v1.ArtifactState``."""

    STAGED = 1
    CANARIED = 2
    ACTIVE = 3
    PREVIOUS = 4


class UnknownArtifactError(Exception):
    """Nothing of that digest is held."""


class ArtifactRefusedError(Exception):
    """It cannot take the step; ``reason`` is SCHEMA_MISMATCH, CANARY_FAILED or the state's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True, kw_only=True)
class ModelHolding:
    """A loaded model. ``failures`` in a row; three and it is not used until a canary passes."""

    manifest: ModelManifest
    digest: str
    folder: Path
    assembler: Assembler | None
    cart: CartEncoder | None
    failures: int = 0

    @property
    def trusted(self) -> bool:
        """Tell whether it may decide."""
        return self.failures < _FAILURES_TO_DISTRUST


@dataclass(slots=True, kw_only=True)
class Artifact:
    """One held artifact; exactly one of the three contents is set."""

    kind: str
    name: str
    version: str
    digest: str
    state: ArtifactState = ArtifactState.STAGED
    rules: FallbackBundle | None = None
    model: ModelHolding | None = None
    features: FeatureBundle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPassed:
    """How the golden inferences went; zero and empty for rules and features."""

    slowest_us: int = 0
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSet:
    """What decides now: replaced whole by a flip, never changed."""

    rules: FallbackBundle | None = None
    models: Mapping[str, ModelHolding] = field(default_factory=dict)
    tables: TableSet = field(default_factory=TableSet)


class Holdings:
    """Everything held, by digest."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.active = ActiveSet()
        self._held: dict[str, Artifact] = {}

    def __iter__(self) -> Iterator[Artifact]:
        return iter(tuple(self._held.values()))

    def rules(self, digest: str) -> FallbackBundle | None:
        """Return the rules of ``digest`` if they decide or decided before the last flip."""
        artifact = self._held.get(digest)
        if artifact is None or artifact.state < ArtifactState.ACTIVE:
            return None
        return artifact.rules

    def contract(self, name: str) -> ModelHolding | None:
        """Return any held model ``name``: its rows are what the deep model takes too."""
        active = self.active.models.get(name)
        if active is not None:
            return active
        held = (artifact.model for artifact in self._held.values() if artifact.kind == "model")
        return next((model for model in held if model and model.manifest.name == name), None)

    async def stage(self, kind: str, digest: str, path: Path) -> Artifact:
        """Load an artifact beside the active one; one already held is left as it is.

        Raises: ArtifactRefusedError: its bytes do not fit the contract or this box.
        """
        if digest in self._held:
            return self._held[digest]
        try:
            artifact = await self._load(kind, digest, path)
        except DocumentError as exc:
            raise ArtifactRefusedError("SCHEMA_MISMATCH", str(exc)) from exc
        except ModelRefusedError as exc:
            raise ArtifactRefusedError("CANARY_FAILED", str(exc)) from exc
        except OSError as exc:
            raise ArtifactRefusedError("SCHEMA_MISMATCH", exc.strerror or "unreadable") from exc
        self._held[digest] = artifact
        return artifact

    async def canary(self, digest: str) -> CanaryPassed:
        """Prove a held artifact; a model by its golden vectors.

        Raises: UnknownArtifactError. ArtifactRefusedError: it came out wrong or too slow.
        """
        artifact = self._find(digest)
        passed = CanaryPassed()
        if artifact.model is not None:
            model = artifact.model
            try:
                result = await run_canary(self.runtime, model.folder, digest, model.manifest)
            except CanaryError as exc:
                raise ArtifactRefusedError("CANARY_FAILED", str(exc)) from exc
            model.failures = 0
            passed = CanaryPassed(
                slowest_us=result.slowest_us, provider=self.runtime.provider(digest)
            )
        elif artifact.rules is not None:
            bundle = artifact.rules
            # The rules tier never raises; that every workflow answers is its golden vector.
            bundle.decide(None, tuple(bundle.policy.workflows), datetime.now(UTC), RedemptionView())
        if artifact.state is ArtifactState.STAGED:
            artifact.state = ArtifactState.CANARIED
        return passed

    def flip(self, digest: str) -> str:
        """Make an artifact decide; return the digest of what decided before, or "".

        Raises: UnknownArtifactError. ArtifactRefusedError: it has not passed its canary.
        """
        artifact = self._find(digest)
        if artifact.state is ArtifactState.STAGED:
            raise ArtifactRefusedError("CANARY_FAILED", "it has not passed its canary")
        if artifact.state is ArtifactState.ACTIVE:
            return ""
        before = ""
        for other in self._held.values():
            if other.state is ArtifactState.ACTIVE and _same_place(other, artifact):
                other.state = ArtifactState.PREVIOUS
                before = other.digest
        artifact.state = ArtifactState.ACTIVE
        self._assemble()
        return before

    async def unload(self, digest: str) -> None:
        """Let go of an artifact.

        Raises: UnknownArtifactError. ArtifactRefusedError: it decides.
        """
        artifact = self._find(digest)
        if artifact.state is ArtifactState.ACTIVE:
            raise ArtifactRefusedError("ACTIVE", "it decides: flip to another one first")
        del self._held[digest]
        if artifact.model is not None:
            await self.runtime.unload(digest)

    def _assemble(self) -> None:
        active = [a for a in self._held.values() if a.state is ArtifactState.ACTIVE]
        self.active = ActiveSet(
            rules=next((a.rules for a in active if a.rules is not None), None),
            models={a.model.manifest.name: a.model for a in active if a.model is not None},
            tables=TableSet(a.features for a in active if a.features is not None),
        )

    def _find(self, digest: str) -> Artifact:
        try:
            return self._held[digest]
        except KeyError:
            raise UnknownArtifactError(digest) from None

    async def _load(self, kind: str, digest: str, path: Path) -> Artifact:
        if kind == "rules":
            raw = await asyncio.to_thread(path.read_bytes)
            rules = await asyncio.to_thread(FallbackBundle.load, raw, digest)
            return Artifact(
                kind=kind, name=rules.name, version=rules.version, digest=digest, rules=rules
            )
        manifest = await asyncio.to_thread(_verified_manifest, path)
        if isinstance(manifest, FeaturesManifest) and kind == "features":
            features = await asyncio.to_thread(FeatureBundle.load, path, digest)
            return Artifact(
                kind=kind,
                name=manifest.name,
                version=manifest.version,
                digest=digest,
                features=features,
            )
        if isinstance(manifest, ModelManifest) and kind == "model":
            model = await asyncio.to_thread(_model, manifest, digest, path)
            await self.runtime.load(path, digest, manifest)
            return Artifact(
                kind=kind, name=manifest.name, version=manifest.version, digest=digest, model=model
            )
        raise DocumentError("manifest.kind", f"is not {kind}", "stage it as what it is")


def _model(manifest: ModelManifest, digest: str, folder: Path) -> ModelHolding:
    carts = manifest.scope is Scope.CART
    return ModelHolding(
        manifest=manifest,
        digest=digest,
        folder=folder,
        assembler=None if carts else Assembler(manifest.features),
        cart=CartEncoder.load(folder, manifest) if carts else None,
    )


def _verified_manifest(folder: Path) -> object:
    """Read the manifest and compare every file: most flipped bits load and run silently."""
    manifest = load_manifest(folder)
    if isinstance(manifest, FeaturesManifest | ModelManifest):
        for name, sha256 in manifest.files.items():
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    raise DocumentError(f"manifest.files.{name}", "differs", "fetch it again")
    return manifest


def _same_place(first: Artifact, second: Artifact) -> bool:
    """Rules are one place, whatever their name: a box has one policy."""
    return first.kind == second.kind and (first.kind == "rules" or first.name == second.name)
