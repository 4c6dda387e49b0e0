"""TUF metadata as python-tuf writes it, read strictly into immutable values.

Owns the shapes: keys, roles, root, targets and their delegations. Refuses to believe any of
it: ``trust`` checks signatures and walks from one document to the next. Keys that TUF may add
later are kept in the signed bytes and otherwise ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from terminal_client.core import canonical_json
from terminal_client.core.canonical_json import CanonicalJsonError
from terminal_client.core.public_keys import decoded_key
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.trust_errors import MetadataError

T = TypeVar("T")

MOST_SIGNATURES = 64
MOST_DELEGATIONS = 256
_EXPIRES = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_HEX = re.compile(r"(?:[0-9a-f]{2})*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SPEC = re.compile(r"1\.[0-9]{1,4}(\.[0-9]{1,4})?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key as the metadata names it; ``public`` is hexadecimal or PEM, as ``scheme`` wants."""

    keyid: str
    keytype: str
    scheme: str
    public: str

    @property
    def decoded(self) -> bytes | None:
        """The key itself, the same however it is written; None: it cannot be read."""
        return decoded_key(self.keytype, self.scheme, self.public)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleKeys:
    """Who may sign a role: ``threshold`` of ``keys``, all different."""

    name: str
    keys: tuple[PublicKey, ...]
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A signed document before anybody believed it. ``signed`` are the canonical bytes."""

    kind: str
    version: int
    expires: datetime
    signed: bytes
    signatures: tuple[tuple[str, bytes], ...]
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Who may sign the top-level roles."""

    version: int
    expires: datetime
    roles: Mapping[str, RoleKeys]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A role that targets metadata hands part of its paths to."""

    signers: RoleKeys
    paths: tuple[str, ...]

    def covers(self, path: str) -> bool:
        """Tell whether ``path`` is this role's. ``*`` does not cross ``/``."""
        return any(_matches(path, pattern) for pattern in self.paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One signed file: its size in bytes, its SHA-256 (64 hexadecimal digits), its facts."""

    path: str
    length: int
    sha256: str
    custom: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """A targets document: files, and the roles it delegates to, by name."""

    version: int
    expires: datetime
    targets: Mapping[str, Target]
    delegations: Mapping[str, Delegation]


def read_envelope(raw: bytes, role: str, kind: str) -> Envelope:
    """Return the document in ``raw``, which must be of ``kind`` (``root`` or ``targets``).

    Raises:
        MetadataError: it is not such a document; names ``role``.
    """
    try:
        top = Fields(canonical_json.parse(raw), role)
        signed = top.object("signed")
        body = top.raw("signed")
        envelope = Envelope(
            kind=signed.text("_type", longest=32),
            version=signed.integer("version", 1),
            expires=_instant(signed, "expires"),
            signed=canonical_json.encode(body),
            signatures=_at_most(top, "signatures", MOST_SIGNATURES, _read_signature),
            body=body if isinstance(body, dict) else {},
        )
        spec = signed.text("spec_version", longest=32)
    except (DocumentError, CanonicalJsonError) as error:
        raise MetadataError(role, str(error)) from error
    if envelope.kind != kind:
        raise MetadataError(role, f"is {envelope.kind!r:.20} metadata, not {kind!r}")
    if not _SPEC.match(spec):
        raise MetadataError(role, f"is of TUF {spec!r}, not 1.x")
    return envelope


def read_root(envelope: Envelope) -> Root:
    """Return the root in ``envelope``. Raises: MetadataError."""
    try:
        fields = Fields(envelope.body, "root")
        keys = _read_keys(fields)
        roles = {
            name: _read_role(Fields(value, f"root.roles.{name:.64}"), name, keys)
            for name, value in fields.object("roles").pairs()
        }
    except DocumentError as error:
        raise MetadataError("root", str(error)) from error
    for name in ("root", "targets"):
        if name not in roles:
            raise MetadataError("root", f"has no role {name!r}")
    return Root(version=envelope.version, expires=envelope.expires, roles=roles)


def read_targets(envelope: Envelope, role: str) -> Targets:
    """Return the targets in ``envelope``, the document of ``role``. Raises: MetadataError."""
    try:
        fields = Fields(envelope.body, role)
        targets = {
            path: _read_target(Fields(value, f"{role}.targets.{path:.80}"), path)
            for path, value in fields.object("targets").pairs()
        }
        delegations = _read_delegations(fields) if fields.has("delegations") else {}
    except DocumentError as error:
        raise MetadataError(role, str(error)) from error
    return Targets(
        version=envelope.version,
        expires=envelope.expires,
        targets=targets,
        delegations=delegations,
    )


def _read_delegations(fields: Fields) -> dict[str, Delegation]:
    inner = fields.object("delegations")
    keys = _read_keys(inner)

    def read(value: object, path: str) -> Delegation:
        role = Fields(value, path)
        name = role.text("name", longest=128)
        # A role that delegates by hashes of paths has no paths: it covers nothing here.
        return Delegation(signers=_read_role(role, name, keys), paths=role.texts("paths"))

    delegations: dict[str, Delegation] = {}
    # The first of two roles with one name would win in TUF; nobody means to write two.
    for delegation in _at_most(inner, "roles", MOST_DELEGATIONS, read):
        name = delegation.signers.name
        if name in delegations:
            raise DocumentError(inner.at("roles"), f"has {name!r:.64} twice", "name each once")
        delegations[name] = delegation
    return delegations


def _read_keys(fields: Fields) -> dict[str, PublicKey]:
    def read(value: object, path: str) -> PublicKey:
        key = Fields(value, path)
        return PublicKey(
            keyid=path.rpartition(".")[2],
            keytype=key.text("keytype", longest=64),
            scheme=key.text("scheme", longest=64),
            public=key.object("keyval").text("public"),
        )

    return fields.table("keys", read)


def _read_role(fields: Fields, name: str, keys: Mapping[str, PublicKey]) -> RoleKeys:
    keyids = fields.texts("keyids")
    missing = [keyid for keyid in keyids if keyid not in keys]
    if missing:
        raise DocumentError(fields.at("keyids"), f"names {missing[0]!r:.80}", "add that key")
    return RoleKeys(
        name=name,
        keys=tuple(keys[keyid] for keyid in dict.fromkeys(keyids)),
        threshold=fields.integer("threshold", 1, MOST_SIGNATURES),
    )


def _read_target(fields: Fields, path: str) -> Target:
    sha256 = fields.object("hashes").text("sha256", longest=64)
    if not _SHA256.match(sha256):
        raise DocumentError(fields.at("hashes.sha256"), "is no SHA-256", "write 64 digits")
    custom = fields.raw("custom") if fields.has("custom") else {}
    if not isinstance(custom, dict):
        raise DocumentError(fields.at("custom"), "is not an object", "write {...}")
    return Target(path=path, length=fields.integer("length", 0), sha256=sha256, custom=custom)


def _read_signature(value: object, path: str) -> tuple[str, bytes]:
    fields = Fields(value, path)
    signature = fields.text("sig", longest=1024)
    if not _HEX.match(signature):
        raise DocumentError(fields.at("sig"), "is not hexadecimal", "write lower-case digits")
    return fields.text("keyid", longest=128), bytes.fromhex(signature)


def _at_most(
    fields: Fields, key: str, most: int, read: Callable[[object, str], T]
) -> tuple[T, ...]:
    items = fields.items(key, read)
    if len(items) > most:
        raise DocumentError(fields.at(key), f"has {len(items)} entries", f"write at most {most}")
    return items


def _instant(fields: Fields, key: str) -> datetime:
    text = fields.text(key, longest=32)
    problem = fields.at(key), f"is {text!r}", "write YYYY-MM-DDThh:mm:ssZ"
    if not _EXPIRES.match(text):
        raise DocumentError(*problem)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise DocumentError(*problem) from error


def _matches(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(
        _part_pattern(want).match(part) for part, want in zip(parts, wanted, strict=True)
    )


def _part_pattern(wanted: str) -> re.Pattern[str]:
    # Only ``*`` is special. A pattern with ``?`` or ``[`` matches itself alone: less than its
    # author meant, never more.
    return re.compile("".join(".*" if char == "*" else re.escape(char) for char in wanted) + r"\Z")
