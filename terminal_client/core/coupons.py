"""The coupons of a rules bundle: campaigns, store coupons, value codes and limits.

Owns the types and their strict reading. Refuses to judge a basket: ``coupon_engine`` does.
Dates are store-local ``yyyymmdd``, both ends inclusive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from terminal_client.core.basket import CouponSymbology
from terminal_client.core.coupon_gs1 import Gs1Tables, read_gs1
from terminal_client.core.coupon_terms import (
    Doubling,
    Funder,
    ItemGroup,
    Requirement,
    Terms,
    ValueKind,
)
from terminal_client.core.coupon_values import (
    ID_LONGEST,
    MONEY_MAX_MINOR,
    QUANTITY_MAX,
    ValueCode,
    read_doubling,
    read_identifier,
    read_value,
    read_value_code,
)
from terminal_client.core.item_sets import ItemSets, read_items
from terminal_client.core.reading import DocumentError, Fields

GS1_8110_OFFER = "gs1_8110"
"""The offer of every AI 8110 coupon: it describes itself and is in no bundle."""

_CODE_LONGEST = 64
_FUNDERS = {funder.value: funder for funder in Funder}
_SYMBOLOGIES = {
    "store": CouponSymbology.STORE,
    "gcn": CouponSymbology.GS1_255_GCN,
    "gs1_8112": CouponSymbology.GS1_8112,
}
_VALUE_CODE = "value_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A window, and who was sent the coupons; ``households`` None: everybody.

    ``one_use``: a household may use each coupon of the campaign once.
    """

    campaign_id: str
    first_date: int
    last_date: int
    households: frozenset[str] | None
    one_use: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCoupon:
    """A coupon known by its code, in one campaign."""

    coupon_code: str
    campaign: Campaign
    terms: Terms

    @property
    def offer_id(self) -> str:
        """The coupon's name in answers: campaign and code."""
        return f"{self.campaign.campaign_id}:{self.coupon_code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedLimits:
    """How much may be taken without an on-line check; all bounds are inclusive."""

    max_value_minor: int
    max_basket_value_minor: int
    max_basket_count: int
    max_view_age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponBook:
    """All of it; immutable. ``unverified`` None: nothing is taken unverified."""

    coupons: Mapping[tuple[CouponSymbology, str], tuple[StoreCoupon, ...]] = field(
        default_factory=dict
    )
    doubling: Doubling | None = None
    unverified: UnverifiedLimits | None = None
    gs1: Gs1Tables = field(default_factory=Gs1Tables)
    offer_ids: frozenset[str] = frozenset({GS1_8110_OFFER})

    def known_as(self, symbology: CouponSymbology, code: str) -> tuple[StoreCoupon, ...]:
        """Return the coupons of that code, the campaign that ends first before the others.

        ``code`` may be an ``offer_id`` too: then only that campaign's coupon is meant.
        """
        return self.coupons.get((symbology, code), ())


def read_coupons(value: object, path: str = "coupons") -> CouponBook:
    """Read the bundle's ``coupons`` document; ``docs/coupons.md`` describes it.

    Raises:
        DocumentError: something is missing, unknown, out of range or contradictory.
    """
    fields = Fields(value, path)
    sets = read_items(fields.raw("items"), fields.at("items")) if fields.has("items") else None
    reader = _Reader(
        sets or ItemSets(),
        _read_campaigns(fields),
        fields.table("value_codes", read_value_code),
    )
    coupons = fields.items("store_coupons", reader.read)
    doubling = read_doubling(fields.object("doubling")) if fields.has("doubling") else None
    unverified = _read_unverified(fields.object("unverified")) if fields.has("unverified") else None
    gs1 = read_gs1(fields.object("gs1"), reader.sets) if fields.has("gs1") else Gs1Tables()
    fields.close()
    offer_ids = {coupon.offer_id for _, coupon in coupons} | {GS1_8110_OFFER}
    if doubling is not None:
        offer_ids.add(doubling.offer_id)
    return CouponBook(
        coupons=_indexed(coupons, fields.at("store_coupons")),
        doubling=doubling,
        unverified=unverified,
        gs1=gs1,
        offer_ids=frozenset(offer_ids),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads store coupons against what they refer to."""

    sets: ItemSets
    campaigns: Mapping[str, Campaign]
    value_codes: Mapping[str, ValueCode]

    def read(self, value: object, path: str) -> tuple[CouponSymbology, StoreCoupon]:
        """Read one store coupon."""
        fields = Fields(value, path)
        symbology = fields.choice("symbology", _SYMBOLOGIES, default="store")
        code = read_identifier(fields, "coupon_code", _CODE_LONGEST)
        campaign_id = fields.text("campaign_id", longest=ID_LONGEST)
        if campaign_id not in self.campaigns:
            raise DocumentError(
                fields.at("campaign_id"), f"is {campaign_id!r:.40}", "name one of the campaigns"
            )
        terms = self._terms(fields)
        fields.close()
        campaign = self.campaigns[campaign_id]
        return symbology, StoreCoupon(coupon_code=code, campaign=campaign, terms=terms)

    def _terms(self, fields: Fields) -> Terms:
        inner = fields.object("value")
        legacy = inner.has("kind") and inner.raw("kind") == _VALUE_CODE
        found = self._by_code(inner) if legacy else ValueCode(read_value(inner), 1)
        inner.close()
        funder = fields.choice("funder", _FUNDERS, default="maker" if legacy else "store")
        may_multiply = funder is Funder.MAKER and found.value.kind is ValueKind.AMOUNT
        multipliable = fields.flag("multiply", default=may_multiply)
        if multipliable and not may_multiply:
            raise DocumentError(
                fields.at("multiply"), "is true", "multiply only a maker's coupon of an amount"
            )
        items = self.sets.read(fields.raw("item_ids"), fields.at("item_ids"))
        if not items:
            raise DocumentError(fields.at("item_ids"), "is empty", "name at least one item")
        quantity = fields.integer("min_quantity", 1, QUANTITY_MAX, default=found.min_quantity)
        return Terms(
            requirements=(Requirement(items=ItemGroup(item_ids=items), amount=quantity),),
            value=found.value,
            funder=funder,
            multipliable=multipliable,
        )

    def _by_code(self, fields: Fields) -> ValueCode:
        fields.raw("kind")
        code = fields.text("code", longest=_CODE_LONGEST)
        if code not in self.value_codes:
            raise DocumentError(
                fields.at("code"), f"is {code!r:.40}", "add it to value_codes or use another kind"
            )
        return self.value_codes[code]


def _indexed(
    coupons: tuple[tuple[CouponSymbology, StoreCoupon], ...], path: str
) -> dict[tuple[CouponSymbology, str], tuple[StoreCoupon, ...]]:
    index: dict[tuple[CouponSymbology, str], list[StoreCoupon]] = defaultdict(list)
    seen = set()
    for number, (symbology, coupon) in enumerate(coupons):
        if (symbology, coupon.offer_id) in seen:
            raise DocumentError(f"{path}[{number}]", "is there twice", "write it once a campaign")
        seen.add((symbology, coupon.offer_id))
        index[symbology, coupon.coupon_code].append(coupon)
        index[symbology, coupon.offer_id].append(coupon)
    return {
        key: tuple(sorted(same, key=lambda c: (c.campaign.last_date, c.campaign.campaign_id)))
        for key, same in index.items()
    }


def _read_campaigns(fields: Fields) -> dict[str, Campaign]:
    campaigns: dict[str, Campaign] = {}
    for number, campaign in enumerate(fields.items("campaigns", _read_campaign)):
        if campaign.campaign_id in campaigns:
            raise DocumentError(
                f"{fields.at('campaigns')}[{number}].campaign_id", "is there twice", "rename one"
            )
        campaigns[campaign.campaign_id] = campaign
    return campaigns


def _read_campaign(value: object, path: str) -> Campaign:
    fields = Fields(value, path)
    everybody = fields.flag("open", default=False)
    if everybody == fields.has("households"):
        raise DocumentError(
            fields.at("households"), "and open do not go together", "write exactly one of them"
        )
    campaign = Campaign(
        campaign_id=read_identifier(fields, "campaign_id", ID_LONGEST),
        first_date=_read_date(fields, "first_date"),
        last_date=_read_date(fields, "last_date"),
        households=None if everybody else frozenset(fields.texts("households")),
        one_use=fields.flag("one_use", default=True),
    )
    fields.close()
    if campaign.last_date < campaign.first_date:
        raise DocumentError(fields.at("last_date"), "is before first_date", "swap them")
    return campaign


def _read_date(fields: Fields, key: str) -> int:
    number = fields.integer(key, 19700101, 22001231)
    try:
        date(number // 10_000, number // 100 % 100, number % 100)
    except ValueError as error:
        raise DocumentError(fields.at(key), f"is {number}", "write a date as yyyymmdd") from error
    return number


def _read_unverified(fields: Fields) -> UnverifiedLimits:
    limits = UnverifiedLimits(
        max_value_minor=fields.integer("max_value_minor", 0, MONEY_MAX_MINOR),
        max_basket_value_minor=fields.integer("max_basket_value_minor", 0, MONEY_MAX_MINOR),
        max_basket_count=fields.integer("max_basket_count", 0, QUANTITY_MAX),
        max_view_age=timedelta(seconds=fields.integer("max_view_age_s", 0, 366 * 86_400)),
    )
    fields.close()
    return limits
