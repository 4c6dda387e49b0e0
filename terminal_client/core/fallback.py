"""The fallback bundle: rules, promotions, coupons and tables, and the answer they give.

``FallbackBundle.decide`` is the rules tier. It is a pure function of basket, evaluation
time, bundle and redemption view, and reads nothing else, so a terminal alone and a
gateway in emergency give equal answers. It answers every basket and never raises.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from terminal_client.core.basket import Basket
from terminal_client.core.coupons import CouponBook, read_coupons
from terminal_client.core.decision import ArtifactRef, WorkflowResult
from terminal_client.core.freshness import Freshness, age_at
from terminal_client.core.policy import Policy, read_policy
from terminal_client.core.promotion_model import Promotion, read_promotions
from terminal_client.core.reading import DocumentError, Fields
from terminal_client.core.redemptions import RedemptionView
from terminal_client.core.rule_input import RuleContext
from terminal_client.core.rules import RuleSet, read_rules
from terminal_client.core.rules_tier import RulesTier
from terminal_client.core.store_time import StoreZone, days_apart, read_zone
from terminal_client.core.tables import Tables, read_tables

SCHEMA = 1
_GZIP = 31
LONGEST_DOCUMENT = 32 * 1024 * 1024
"""Unpacked bytes; a bundle that unpacks to more is refused before it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackBundle:
    """A loaded rules bundle; immutable, so threads may share it."""

    name: str
    version: str
    digest: str
    as_of: datetime
    store_id: str
    zone: StoreZone
    policy: Policy
    rules: RuleSet
    promotions: tuple[Promotion, ...]
    coupons: CouponBook
    own_offer_ids: frozenset[str]
    tables: Tables

    @classmethod
    def load(cls, raw: bytes, digest: str) -> FallbackBundle:
        """Return the bundle in ``raw`` (gzip of UTF-8 JSON).

        Raises:
            DocumentError: ``raw`` is not ``digest`` (``sha256:`` and 64 hexadecimal
                digits), cannot be unpacked, or holds something that cannot be meant.
        """
        if f"sha256:{hashlib.sha256(raw).hexdigest()}" != digest:
            raise DocumentError("bundle", "does not have its digest", "fetch it again")
        fields = Fields(_unpack(raw), "")
        fields.integer("schema", SCHEMA, SCHEMA)
        promotions = read_promotions(fields.raw("promotions"), "promotions")
        coupons = read_coupons(fields.raw("coupons"), "coupons")
        bundle = cls(
            name=fields.text("name", longest=64),
            version=fields.text("version", longest=64),
            digest=digest,
            as_of=_instant(fields, "as_of"),
            store_id=fields.text("store_id", longest=64),
            zone=read_zone(fields.object("time_zone")),
            policy=read_policy(fields.raw("policy"), "policy"),
            rules=read_rules(fields.raw("rules"), "rules"),
            promotions=promotions,
            coupons=coupons,
            own_offer_ids=coupons.offer_ids | {promotion.offer_id for promotion in promotions},
            tables=read_tables(fields.object("tables")),
        )
        fields.close()
        return bundle

    def decide(
        self,
        basket: Basket | None,
        workflows: Sequence[str],
        at: datetime,
        view: RedemptionView,
    ) -> tuple[WorkflowResult, ...]:
        """Return the rules' answer to each of ``workflows``, in order.

        ``at`` is the time of record (see ``store_time.time_of_record``). A workflow that
        the policy does not name is approved with the reason WORKFLOW_UNKNOWN.
        """
        whole = basket or Basket()
        tier = RulesTier(
            policy=self.policy,
            rules=self.rules,
            promotions=self.promotions,
            coupons=self.coupons,
            own_offer_ids=self.own_offer_ids,
            tables=self.tables,
            basket=whole,
            at=at,
            context=self.context(whole, at),
            view=view,
            freshness=self.freshness(at),
        )
        return tuple(tier.answer(name) for name in workflows)

    def context(self, basket: Basket, at: datetime) -> RuleContext:
        """Return what rules may know beside the basket."""
        local = self.zone.local(at)
        counted = [line for line in basket.lines if not line.voided]
        published = self.zone.local(self.as_of).date
        return RuleContext(
            store_local_date=local.date,
            store_local_minute_of_day=local.minute_of_day,
            weekday=local.weekday,
            targeting=self.tables.targeting(basket.loyalty_token),
            artifact_age_days={self.name: max(days_apart(published, local.date), 0)},
            total_minor=sum(line.extended_minor for line in counted),
            line_count=len(counted),
        )

    def freshness(self, at: datetime) -> Freshness:
        """Return how old the rules are at ``at`` by their own limits."""
        return self.policy.freshness["rules"].judge(age_at(self.as_of, at))

    def artifact(self, at: datetime) -> ArtifactRef:
        """Return the bundle's entry in an answer decided at ``at``."""
        return ArtifactRef(
            kind="rules",
            name=self.name,
            version=self.version,
            digest=self.digest,
            freshness=self.freshness(at),
            age=age_at(self.as_of, at),
        )


def pack(document: object) -> bytes:
    """Return the bundle bytes of ``document``: the same document gives the same bytes."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    packer = zlib.compressobj(level=9, wbits=_GZIP)
    return packer.compress(text.encode()) + packer.flush()


def digest_of(raw: bytes) -> str:
    """Return ``sha256:`` and the 64 hexadecimal digits of ``raw``."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _unpack(raw: bytes) -> object:
    try:
        unpacker = zlib.decompressobj(wbits=_GZIP)
        text = unpacker.decompress(raw, LONGEST_DOCUMENT)
        value: object = (
            json.loads(text.decode(), object_pairs_hook=_object) if unpacker.eof else None
        )
    except zlib.error as error:
        raise DocumentError("bundle", "cannot be unpacked", "fetch it again") from error
    except (ValueError, RecursionError) as error:
        # Also text that is not UTF-8, and numbers of thousands of digits.
        raise DocumentError("bundle", "is not JSON", "publish it again") from error
    if unpacker.unconsumed_tail:
        raise DocumentError("bundle", "unpacks to too much", "publish a smaller one")
    if not unpacker.eof:
        raise DocumentError("bundle", "is cut off", "fetch it again")
    if unpacker.unused_data:
        # Others would read on: what was signed must mean one thing everywhere.
        raise DocumentError("bundle", "goes on after its end", "publish one gzip member")
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise DocumentError("bundle", "repeats a key", "write each key once")
    return value


def _instant(fields: Fields, key: str) -> datetime:
    text = fields.text(key, longest=40)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise DocumentError(
            fields.at(key), "is no time", "write ISO 8601 with an offset"
        ) from error
    if instant.tzinfo is None or not 1970 <= instant.year <= 2200:
        raise DocumentError(fields.at(key), "is no time", "write ISO 8601 with an offset")
    return instant.astimezone(UTC)
