"""The fallback bundle on the register's disk: N and N-1, with the documents that prove them.

Owns the folder ``bundles``: one file per bundle, named by its digest, and ``state.json`` with
the signed documents, which is replaced as a whole. That one rename is the swap: a terminal that
is killed at any moment starts with the old bundle or with the new one. Everything is verified
again when it is read, from the pinned root on; what does not pass is not used.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from terminal_client.config import TrustConfig
from terminal_client.core.fallback import FallbackBundle
from terminal_client.core.pin import read_pin
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.trust import (
    Evidence,
    Followed,
    Release,
    Trusted,
    check_bundle,
    trusted_root,
    verify,
)
from terminal_client.core.trust_errors import DigestError, SelectionError, TrustError
from terminal_client.core.trust_memory import Memory, Signers
from terminal_client.core.versions import precedence
from terminal_client.durable_file import write_file
from terminal_client.errors import ConfigError
from terminal_client.signatures import verify_signature

logger = logging.getLogger(__name__)

CHANNEL = "rules"
LONGEST_BUNDLE = 64 * 1024 * 1024
_SCHEMA = 1
_NUMBERS = (
    "root_version",
    "delegation_version",
    "release_version",
    "pointer_version",
    "counter",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A bundle in use, what proves it, and what is known of it."""

    bundle: FallbackBundle
    trusted: Trusted
    evidence: Evidence


class BundleCache:
    """Thread-safe: one thread swaps, lanes read without a lock."""

    def __init__(
        self, folder: Path, config: TrustConfig, store_id: str, pinned_root: bytes
    ) -> None:
        self._folder = folder
        self._followed = Followed(ring=config.ring, channel=CHANNEL, name=config.bundle_name)
        self._store_id = store_id
        self._pinned_root = pinned_root
        self._lock = threading.Lock()
        self._memory = Memory()
        self._held: tuple[Held, ...] = ()
        self.conditions: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path, config: TrustConfig, store_id: str = "") -> BundleCache:
        """Load what the folder holds and the pinned root proves; it may be nothing.

        Rules of another store than ``store_id`` are refused; empty: of none.

        Raises: ConfigError: the pinned root cannot be read or does not prove itself.
        """
        try:
            pinned_root = config.root.read_bytes()
            trusted_root(pinned_root, (), verify_signature)
        except (OSError, TrustError) as error:
            raise ConfigError("trust", "trust.root", f"{error}", "pin a signed root") from error
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            # Then nothing can be kept; the state says why.
            logger.warning("rules: %s", error)
        cache = cls(folder, config, store_id, pinned_root)
        cache._load()
        return cache

    @property
    def active(self) -> Held | None:
        """The bundle to decide by; None: there is none yet."""
        held = self._held
        return held[0] if held else None

    @property
    def root_version(self) -> int:
        """The newest root that is trusted; at least 1."""
        held = self.active
        roots = held.evidence.roots if held else ()
        return trusted_root(self._pinned_root, roots, verify_signature).version

    def for_pin(self, pin: bytes, now: datetime) -> FallbackBundle | None:
        """Return the bundle that a basket's pin holds on to, if it is here; else the active.

        ``now`` is wall-clock time.
        """
        held = self._held
        if not held:
            return None
        pinned = read_pin(pin) if pin else None
        if pinned is not None:
            for entry in held:
                lifetime = entry.bundle.policy.pin_lifetime
                if entry.bundle.digest == pinned.rules_digest and not pinned.lapsed(now, lifetime):
                    return entry.bundle
        return held[0].bundle

    def check(self, newer_roots: tuple[bytes, ...], offered: Evidence) -> tuple[Evidence, Trusted]:
        """Verify what a gateway hands out: ``newer_roots`` follow those that are known.

        Raises: TrustError: it is not to be believed, or older than what was.
        """
        held = self.active
        known = held.evidence.roots if held else ()
        evidence = Evidence(
            roots=(*known, *newer_roots),
            delegation=offered.delegation,
            release=offered.release,
            pointer=offered.pointer,
        )
        trusted = verify(
            evidence, self._followed, self._pinned_root, self._memory, verify_signature
        )
        _require_rules(trusted)
        return evidence, trusted

    def partial(self, trusted: Trusted) -> Path:
        """Return where a download of the release grows."""
        return self._folder / f"{_hex(trusted.release.digest)}.partial"

    def stored(self, trusted: Trusted) -> bytes | None:
        """Return the release's bytes when they are on disk already: a rollback needs no download.

        Raises: OSError: the disk refuses.
        """
        try:
            raw = (self._folder / _file_name(trusted.release.digest)).read_bytes()
            check_bundle(trusted.release, raw)
        except (FileNotFoundError, DigestError):
            return None
        return raw

    def has(self, trusted: Trusted) -> bool:
        """Tell whether the release is the active one."""
        held = self.active
        return held is not None and held.bundle.digest == trusted.release.digest

    def install(self, evidence: Evidence, trusted: Trusted, raw: bytes | None) -> None:
        """Make a verified release the active one; ``raw`` is None for the bytes in use.

        Raises: DigestError: ``raw`` is something else; DocumentError: it is no rules bundle,
            another one than was released, or another store's; OSError: the disk refuses. In
            every case the active bundle stays.
        """
        held = self._held
        if raw is None:
            if not self.has(trusted):
                raise DigestError(trusted.release.name, "is not the bundle in use")
            bundle, previous = held[0].bundle, held[1:]
        else:
            bundle = self._read_bundle(trusted.release, raw)
            write_file(self._folder / _file_name(trusted.release.digest), raw)
            same = held and held[0].bundle.digest == bundle.digest
            previous = held[1:] if same else held[:1]
        entry = Held(bundle=bundle, trusted=trusted, evidence=evidence)
        with self._lock:
            now_held = (entry, *previous)
            self._write_state(now_held, trusted.memory)
            self._held, self._memory = now_held, trusted.memory
            self.conditions = ()
        self._tidy()
        logger.info(
            "rules: %s %s is active (%s)",
            trusted.release.name,
            trusted.release.version,
            trusted.release.digest[:15],
        )

    def _load(self) -> None:
        conditions: list[str] = []
        loaded: list[Held] = []
        for entry in self._read_state(conditions):
            try:
                loaded.append(self._load_entry(entry))
            except (TrustError, DocumentError, OSError) as error:
                conditions.append(f"BUNDLE_REFUSED: {error}")
                logger.warning("rules: a bundle on disk is not used: %s", error)
        # The active one failed and N-1 stands in: that is not a rollback, the counter stays.
        self._held = tuple(loaded)
        self.conditions = tuple(conditions)

    def _load_entry(self, evidence: Evidence) -> Held:
        # N-1 is older than what was believed, and withdrawn it must not stand in.
        floors = Memory(floors=self._memory.floors)
        trusted = verify(evidence, self._followed, self._pinned_root, floors, verify_signature)
        _require_rules(trusted)
        raw = (self._folder / _file_name(trusted.release.digest)).read_bytes()
        bundle = self._read_bundle(trusted.release, raw)
        return Held(bundle=bundle, trusted=trusted, evidence=evidence)

    def _read_bundle(self, release: Release, raw: bytes) -> FallbackBundle:
        """Return the bundle, which must say itself that it is what was released, and for whom."""
        check_bundle(release, raw)
        bundle = FallbackBundle.load(raw, release.digest)
        for key, stated, wanted in (
            ("name", bundle.name, release.name),
            ("version", bundle.version, release.version),
            ("store_id", bundle.store_id, self._store_id or bundle.store_id),
        ):
            if stated != wanted:
                problem = f"is {stated!r:.80}, not {wanted!r:.80}"
                raise DocumentError(f"bundle.{key}", problem, "release it anew")
        return bundle

    def _read_state(self, conditions: list[str]) -> tuple[Evidence, ...]:
        try:
            state = Fields(json.loads(self._state_file.read_bytes()), "state")
            state.integer("schema", _SCHEMA, _SCHEMA)
            self._memory = _read_memory(state.object("memory"))
            return state.items("held", _read_evidence)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError) as error:
            conditions.append(f"STATE_UNREADABLE: {error}")
            logger.warning("rules: the cache's state cannot be read, it is fetched anew: %s", error)
            return ()

    def _write_state(self, held: tuple[Held, ...], memory: Memory) -> None:
        state = {
            "schema": _SCHEMA,
            "memory": _memory_to_json(memory),
            "held": [_evidence_to_json(entry.evidence) for entry in held],
        }
        write_file(self._state_file, json.dumps(state, sort_keys=True).encode())

    def _tidy(self) -> None:
        kept = {_file_name(entry.bundle.digest) for entry in self._held}
        for path in self._stray(kept):
            try:
                path.unlink()
            except OSError as error:
                logger.warning("rules: %s stays: %s", path.name, error)

    def _stray(self, kept: set[str]) -> Iterator[Path]:
        for path in (*self._folder.glob("*.bundle"), *self._folder.glob("*.partial")):
            if path.name not in kept:
                yield path

    @property
    def _state_file(self) -> Path:
        return self._folder / "state.json"


def _require_rules(trusted: Trusted) -> None:
    if trusted.release.kind != CHANNEL:
        raise SelectionError(CHANNEL, f"releases a {trusted.release.kind!r:.32}, not rules")
    if trusted.release.length > LONGEST_BUNDLE:
        raise SelectionError(CHANNEL, f"releases {trusted.release.length} bytes, too many")


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _file_name(digest: str) -> str:
    return f"{_hex(digest)}.bundle"


def _evidence_to_json(evidence: Evidence) -> Mapping[str, object]:
    return {
        "roots": [_text(raw) for raw in evidence.roots],
        "delegation": _text(evidence.delegation),
        "release": _text(evidence.release),
        "pointer": _text(evidence.pointer),
    }


def _read_evidence(value: object, path: str) -> Evidence:
    fields = Fields(value, path)
    return Evidence(
        roots=fields.items("roots", _read_bytes),
        delegation=_read_bytes(fields.raw("delegation"), fields.at("delegation")),
        release=_read_bytes(fields.raw("release"), fields.at("release")),
        pointer=_read_bytes(fields.raw("pointer"), fields.at("pointer")),
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _read_bytes(value: object, path: str) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "*", validate=True)
    except (binascii.Error, ValueError) as error:
        raise DocumentError(path, "is not base64", "fetch it again") from error


def _memory_to_json(memory: Memory) -> Mapping[str, object]:
    return {name: getattr(memory, name) for name in _NUMBERS} | {
        "signers": {
            role: {"keys": sorted(signers.keys), "threshold": signers.threshold}
            for role, signers in memory.signers.items()
        },
        "floors": dict(memory.floors),
    }


def _read_memory(fields: Fields) -> Memory:
    def signers(value: object, path: str) -> Signers:
        role = Fields(value, path)
        return Signers(keys=frozenset(role.texts("keys")), threshold=role.integer("threshold", 1))

    def floor(value: object, path: str) -> str:
        text = Fields({"floor": value}, path).text("floor", longest=64)
        precedence(text)
        return text

    return Memory(
        **{name: fields.integer(name, 0) for name in _NUMBERS},
        signers=fields.table("signers", signers),
        floors=fields.table("floors", floor),
    )
