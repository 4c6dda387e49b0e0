"""From what authors write to the bytes of a rules bundle.

Everything that a register would refuse is refused here first, and the bundle is loaded
once the way a register loads it before its bytes are given out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cloud_sync.publisher.promotion_lint import Finding, lint_promotions
from cloud_sync.publisher.rules_source import RulesCompiler
from cloud_sync.publisher.zone import zone_document
from terminal_client.core.fallback import SCHEMA, FallbackBundle, digest_of, pack


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesSource:
    """What authors write: JSON values, with CEL text in the rules' conditions."""

    name: str
    version: str
    as_of: datetime
    store_id: str
    time_zone: str
    policy: object
    rules: object = field(default_factory=list)
    promotions: object = field(default_factory=list)
    coupons: object = field(default_factory=dict)
    tables: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltRules:
    """A rules bundle's bytes and digest, and what the lint has to say about it."""

    raw: bytes
    digest: str
    findings: tuple[Finding, ...]


class RulesBundleBuilder:
    """Builds rules bundles; keeps the CEL checker warm. The same source gives the same bytes."""

    def __init__(self) -> None:
        self._compiler = RulesCompiler()

    def build(self, source: RulesSource) -> BuiltRules:
        """Return the bundle of ``source``.

        Raises:
            RulesSourceError: a condition of a rule or promotion cannot be compiled.
            DocumentError: anything else cannot be meant; names key and remedy.
        """
        document = {
            "schema": SCHEMA,
            "name": source.name,
            "version": source.version,
            "as_of": source.as_of.isoformat(),
            "store_id": source.store_id,
            "time_zone": zone_document(source.time_zone, source.as_of),
            "policy": source.policy,
            "rules": self._compiler.compile(source.rules),
            "promotions": self._compiler.compile_promotions(source.promotions),
            "coupons": source.coupons,
            "tables": dict(source.tables),
        }
        raw = pack(document)
        bundle = FallbackBundle.load(raw, digest_of(raw))
        return BuiltRules(
            raw=raw, digest=bundle.digest, findings=tuple(lint_promotions(bundle.promotions))
        )
